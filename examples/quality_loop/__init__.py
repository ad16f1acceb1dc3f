"""A CrewAI Flow that drafts on a cheap tier until a gate lets it pass, and escalates when it does not."""
