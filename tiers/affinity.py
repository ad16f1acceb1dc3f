"""Which endpoint of a tier a session or a prompt's beginning belongs to, so that its cache can be used again.

Rendezvous hashing: every endpoint has a weight for each key, and the heaviest gets it. Where an endpoint goes, only its
own keys move, each to the next in its own order; where it comes back, they return. Loads are bounded: an endpoint that
has far more in flight than the others is passed over, so that one hot session cannot flood it.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

LOAD_TIMES: Final = 1.25
LOAD_MORE: Final = 1
"""An endpoint gets no more while it has over 1.25 times the mean in flight, and one: that makes room under no load."""


def preferred(affinity: bytes, places: Sequence[bytes], in_flight: Sequence[int]) -> int:
    """The index of the place, of at least one, that ``affinity`` belongs to and that is not loaded beyond the bound.

    ``places`` are what names the endpoints for good, such as their URLs; ``in_flight`` is each one's requests.
    """
    bound = LOAD_TIMES * sum(in_flight) / len(places) + LOAD_MORE
    key = blake2b(affinity, digest_size=32).digest()
    best, heaviest = 0, b""
    for index, place in enumerate(places):
        if in_flight[index] <= bound:
            weight = blake2b(place, key=key, digest_size=16).digest()
            if weight > heaviest:
                best, heaviest = index, weight
    return best
