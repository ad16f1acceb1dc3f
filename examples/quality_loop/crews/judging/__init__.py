"""The crew of `judging`, on tier `routing`."""
