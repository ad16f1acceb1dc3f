"""Which way a request goes to a Runpod endpoint with a queue: over its OpenAI route, or as a job.

The *route* is plain HTTP and the shorter way. But Runpod's edge ends a request there that had no byte of its answer for
about 100 s; the job behind it goes on, its answer is lost and billed, and nobody knows its id. For a stream the first
byte is its first event; for any other answer it is the whole of it. A *job* costs two more calls and the wait between
two looks, has a deadline of its own, and can be cancelled.

So a request takes the route where a worker is awake, has room for it, and is expected to be done well before the edge's
limit; else it is a job. Expected is the worst that the request allows: all tokens of its bound, at the speed that the
endpoint had lately, behind all jobs that wait there. A wrong guess in one direction costs a fraction of a second, in
the other an answer.
"""

from dataclasses import dataclass
from typing import Final, Literal

TOKEN_SECONDS: Final = 1 / 20
"""What is believed before anything was seen: slower than vLLM with a fitting model on any GPU that Runpod rents."""
FIRST_SECONDS: Final = 2.0
TELLING_TOKENS: Final = 100
"""An answer of so many tokens tells its speed in full."""
_WEIGHT: Final = 0.2
"""What the newest figure counts for; the rest is what was believed before."""
_MISJUDGED: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast an endpoint was lately. Exponentially weighted means, in seconds."""

    first: float = FIRST_SECONDS
    """To a stream's first byte."""
    token: float = TOKEN_SECONDS
    """For each token of an answer, its prompt included."""


def streamed(speed: Speed, seconds: float) -> Speed:
    """A stream began after so many seconds."""
    return Speed(first=_mean(speed.first, seconds), token=speed.token)


def answered(speed: Speed, seconds: float, tokens: int) -> Speed:
    """A whole answer of so many tokens took so many seconds. A short one tells little: most of it is its beginning."""
    if tokens <= 0:
        return speed
    weight = min(tokens / TELLING_TOKENS, 1.0)
    return Speed(first=speed.first, token=_mean(speed.token, seconds / tokens, weight))


def misjudged(speed: Speed) -> Speed:
    """The edge cut a request for which it had been fast enough."""
    return Speed(first=speed.first * _MISJUDGED, token=speed.token * _MISJUDGED)


def expected_seconds(speed: Speed, *, tokens: int, stream: bool, ahead: float) -> float:
    """Until the first byte of an answer of up to ``tokens``.

    ``ahead`` is how many answers of that size wait before it at each place of an awake worker.
    """
    whole = speed.first + tokens * speed.token
    return (speed.first if stream else whole) + ahead * whole


def way(speed: Speed, *, tokens: int, stream: bool, ahead: float, room: bool, limit: float) -> Literal["route", "job"]:
    """The way of a request while a worker is awake. ``limit`` is how long its first byte may take, in seconds."""
    if not room or expected_seconds(speed, tokens=tokens, stream=stream, ahead=ahead) >= limit:
        return "job"
    return "route"


def _mean(before: float, seen: float, weight: float = 1.0) -> float:
    return before + _WEIGHT * weight * (seen - before)
