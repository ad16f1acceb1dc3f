"""The crew of `revising`, on tier `reasoning`."""
