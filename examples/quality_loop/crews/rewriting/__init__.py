"""The crew of `rewriting`, on tier `reasoning`."""
