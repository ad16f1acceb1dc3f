"""The crew that sorts messages, on tier `routing`."""
