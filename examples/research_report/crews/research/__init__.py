"""The crew of `research`, on tier `routing`."""
