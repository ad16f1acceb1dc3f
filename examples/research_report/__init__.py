"""A CrewAI Flow that finds facts on a cheap tier and writes a report on a strong one."""
