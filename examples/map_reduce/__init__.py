"""A CrewAI Flow that studies three sides of a subject at once and joins what was found."""
