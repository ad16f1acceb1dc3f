"""Many slow streams at once, and when each of their events arrived."""

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from bench.answer import Answer

PIECE_BYTES = 65_536
PATIENCE_SECONDS = 20.0
"""How long a stream may go on after its schedule's end before it counts as lost."""
ENDING_EVENTS = 3
"""After the tokens the mock sends the finish reason, the usage and the end marker at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is asked for: ``count`` streams, opened at a steady rate, of ``tokens`` events at a steady pace."""

    count: int
    opened_per_second: float
    tokens: int
    pace_seconds: float

    @property
    def all_open_seconds(self) -> float:
        """From the first request until every stream is open and has had time for its first events."""
        return self.count / self.opened_per_second + 2 * self.pace_seconds

    @property
    def seconds(self) -> float:
        """From the first request to the last event."""
        return self.count / self.opened_per_second + self.tokens * self.pace_seconds


@dataclass(slots=True, kw_only=True)
class Stream:
    """One stream; ``arrivals`` has a time for each token's event that began to arrive."""

    connection: socket.socket
    answer: Answer = field(default_factory=Answer)
    arrivals: list[float] = field(default_factory=list)
    batched: int = 0
    """Tokens that came in one piece with an earlier one, a whole pace late or early."""


def run(port: int, request: bytes, schedule: Schedule, *, when_all_open: Callable[[], None]) -> list[Stream]:
    """Open the streams, read them to their ends and return them; ``when_all_open`` is called once, in between."""
    streams: dict[int, Stream] = {}
    poll, began, told, living = select.epoll(), time.monotonic(), False, 0
    end = began + schedule.seconds + PATIENCE_SECONDS
    try:
        while living or len(streams) < schedule.count:
            now = time.monotonic()
            if now > end:
                break
            if not told and now >= began + schedule.all_open_seconds:
                told = True
                when_all_open()
            due = min(schedule.count, int((now - began) * schedule.opened_per_second) + 1)
            for _ in range(due - len(streams)):
                connection = socket.create_connection(("127.0.0.1", port))
                connection.sendall(request)
                connection.setblocking(False)
                streams[connection.fileno()] = Stream(connection=connection)
                poll.register(connection.fileno(), select.EPOLLIN)
                living += 1
            for number, _ in poll.poll(0.002 if len(streams) < schedule.count else 0.1):
                if not _read(streams[number], schedule.tokens):
                    poll.unregister(number)
                    living -= 1
    finally:
        for stream in streams.values():
            stream.connection.close()
        poll.close()
    return list(streams.values())


def _read(stream: Stream, tokens: int) -> bool:
    """Take what came; whether more is to come."""
    try:
        data = stream.connection.recv(PIECE_BYTES)
    except OSError:
        return False
    now, before = time.monotonic(), stream.answer.events
    stream.answer.feed(data)
    fresh = min(stream.answer.events, tokens) - before
    if fresh > 0:
        stream.arrivals += [now] * fresh
        stream.batched += fresh - 1
    return bool(data) and not stream.answer.whole


def delays(stream: Stream, pace_seconds: float) -> list[float]:
    """How much later than the stream's own schedule each event came, in seconds.

    Events leave the mock at a steady pace without drift; the event that came earliest against it marks the schedule's
    beginning. So what is constant, as the way there and back, is not seen; what holds an event back is.
    """
    shifted = [arrival - number * pace_seconds for number, arrival in enumerate(stream.arrivals)]
    return [each - min(shifted) for each in shifted] if shifted else []


def complete(stream: Stream, tokens: int) -> bool:
    """Whether the stream came whole: every token, the finish reason, the usage and the end marker."""
    return (
        stream.answer.whole and stream.answer.status == HTTPStatus.OK and stream.answer.events == tokens + ENDING_EVENTS
    )
