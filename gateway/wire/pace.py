"""How fast a request must come: a bound on the whole of it, not only on the gaps between its bytes."""

from typing import Final

HEAD_SECONDS: Final = 10.0
"""For a whole head, from its first byte on."""
BODY_SECONDS: Final = 30.0
"""Without a byte of a body that is still to come; and for a whole body, beside what its size allows."""
BODY_BYTES_PER_SECOND_MIN: Final = 16 * 1024
"""What a body's size allows: a second more for each of these."""


def body_due(begun: float, taken: int, now: float) -> float:
    """By when more of a body must have come of which ``taken`` bytes came from ``begun`` to ``now``; all in seconds."""
    latest = begun + BODY_SECONDS + taken / BODY_BYTES_PER_SECOND_MIN
    return min(latest, now + BODY_SECONDS)
