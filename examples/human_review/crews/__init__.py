"""The crews of the human review Flow."""
