"""A CrewAI Flow that asks a person before its letter goes out."""
