"""The crew of `writing`, on tier `reasoning`."""
