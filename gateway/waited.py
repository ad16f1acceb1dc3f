"""What a client is told of where its answer's time went before it began, where that is not nothing.

A caller sees how long a call took and not why: its slot was taken, its worker was asleep, or an endpoint failed first.
The head of an answer that began with signs of life left too early to say so: a comment in its stream does.
"""

from collections.abc import Sequence
from typing import Final

from gateway.exchange import Attempt, Exchange
from gateway.wire.headers import Header

HEADER: Final = b"x-tiergate-waited"
LATER: Final[Header] = (HEADER, b"later")
"""Of an answer that began before its waiting was over."""
_TOLD_SECONDS: Final = 0.0005
"""What would be told as nothing."""


def waited_headers(exchange: Exchange) -> list[Header]:
    """The header that says it; none where nothing is worth telling."""
    told = _told(exchange)
    return [(HEADER, told)] if told else []


def waited_comment(exchange: Exchange) -> bytes:
    """The same for a stream that has begun; empty where nothing is worth telling."""
    told = _told(exchange)
    return b": waited %b\n\n" % told if told else b""


def _told(exchange: Exchange) -> bytes:
    waited = _waited(exchange, exchange.attempts)
    return b", ".join([b"%b=%.3f" % (name, seconds) for name, seconds in waited if seconds >= _TOLD_SECONDS])


def _waited(exchange: Exchange, attempts: Sequence[Attempt]) -> list[tuple[bytes, float]]:
    """Seconds by where they went; no second is in two of them."""
    if not attempts:
        return []
    last, held = attempts[-1], exchange.held_seconds
    queued = sum([attempt.queued_seconds for attempt in attempts])
    tries = 0.0
    if len(attempts) > 1 and last.sent_at is not None:
        tries = last.sent_at - exchange.received_at - queued - held
    return [(b"queue", queued), (b"hold", held), (b"worker", _for_worker(last)), (b"tries", tries)]


def _for_worker(attempt: Attempt) -> float:
    """As Runpod says. Where it does not, and nobody was awake, it is all the time until the answer began."""
    journey, sent_at, first_byte_at = attempt.journey, attempt.sent_at, attempt.first_byte_at
    if journey is None:
        return 0.0
    if journey.delay_seconds is not None:
        return journey.delay_seconds
    return first_byte_at - sent_at if journey.cold and sent_at is not None and first_byte_at is not None else 0.0
