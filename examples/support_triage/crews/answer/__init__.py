"""The crew that finds out and writes, on tier `reasoning`."""
