"""The crew of `comparing`, on tier `reasoning`."""
