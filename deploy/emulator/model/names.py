"""Ids as Runpod makes them, from the emulator's own dice."""

from random import Random

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH = 14


def new_id(random: Random) -> str:
    """An id of an endpoint, a worker or another object."""
    return "".join(random.choices(_LETTERS, k=_ID_LENGTH))


def new_job_id(random: Random, *, sync: bool) -> str:
    """A job's id; it ends in the suffix of a region."""
    text = f"{random.getrandbits(128):032x}"
    plain = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    return f"{'sync-' if sync else ''}{plain}-u1"
