"""The crews of the support triage Flow."""
