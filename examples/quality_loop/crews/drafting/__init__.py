"""The crew of `drafting`, on tier `routing`."""
