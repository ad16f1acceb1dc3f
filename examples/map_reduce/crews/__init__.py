"""The crews of the map reduce Flow."""
