"""The machine's clock, taken by each composition root and passed to whoever needs the time."""

import time

unix = time.time
"""Seconds since 1970."""
