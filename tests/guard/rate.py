"""Takes the machine's speed out of a count.

Some work comes with the clock and not with a request: log lines and records gather for 50 ms and are written together,
deadlines are looked after every 100 ms. A second's worth of it is shared among the requests of that second, and how
many those are depends on the machine and on what else it does. So counts are taken at two speeds; they tell what a
second costs by itself, and that is shared among a fixed number of requests.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Instructions executed for so many requests in so many seconds."""

    instructions: int
    requests: int
    seconds: float


def per_second(quick: Count, slow: Count) -> float:
    """Instructions of a second by itself, from the same requests at two speeds; never below 0.

    Raises:
        ValueError: The slow one was not slower.
    """
    pause = slow.seconds / slow.requests - quick.seconds / quick.requests
    if pause <= 0:
        raise ValueError("the slow requests took no longer than the quick ones")
    return max(0.0, (slow.instructions / slow.requests - quick.instructions / quick.requests) / pause)


def per_request(count: Count, *, second: float, rate: float) -> int:
    """Instructions per request as at ``rate`` requests per second, where a second costs ``second`` by itself."""
    return round((count.instructions - second * count.seconds) / count.requests + second / rate)
