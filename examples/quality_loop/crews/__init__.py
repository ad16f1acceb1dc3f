"""The crews of the quality loop Flow."""
