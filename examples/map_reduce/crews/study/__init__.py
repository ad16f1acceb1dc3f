"""The crew of `study`, on tier `routing`."""
