"""A CrewAI Flow that sorts a customer's message and answers it, on two tiers behind the gateway."""
