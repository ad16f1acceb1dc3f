"""The crews of the research report Flow."""
