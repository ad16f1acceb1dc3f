"""A mixed load: whole answers and streams, some of which the client leaves in the middle."""

import random
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus

from bench.answer import Answer

PIECE_BYTES = 65_536
CALL_SECONDS_MAX = 30.0
IN_FLIGHT_MAX = 2_000
IDLE_SECONDS = 2.0
"""How long a connection is kept for the next call; less than any server's patience."""
TURN_SECONDS = 0.001


class Kind(Enum):
    """What a call asks for, and whether its client hangs up before the end."""

    WHOLE = auto()
    STREAM = auto()
    WHOLE_LEFT = auto()
    STREAM_LEFT = auto()


SHARES = {Kind.WHOLE: 0.60, Kind.STREAM: 0.34, Kind.WHOLE_LEFT: 0.03, Kind.STREAM_LEFT: 0.03}
"""What share of all calls is of which kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The bytes to send; a whole stream has ``events`` events."""

    whole: bytes
    stream: bytes
    events: int


@dataclass(slots=True, kw_only=True)
class Call:
    """One call on its way; ``leave_at`` is when an impatient client hangs up."""

    connection: socket.socket
    kind: Kind
    began: float
    leave_at: float | None
    answer: Answer = field(default_factory=Answer)


class MixedLoad:
    """Drives the calls from one thread; ``seed`` makes a run's order of kinds repeatable.

    Attributes:
        counts: Calls by how they ended: ``ok``, ``left`` (as meant), ``bad`` (status, length or events), ``lost``.
        complaints: The first few bad ends, in words.
    """

    def __init__(self, port: int, requests: Requests, *, seed: int = 1) -> None:
        self._port = port
        self._requests = requests
        self._random = random.Random(seed)
        self._poll = select.epoll()
        self._calls: dict[int, Call] = {}
        self._idle: deque[tuple[float, socket.socket]] = deque()
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []

    @property
    def ended(self) -> int:
        """Calls that are over, in whatever way."""
        return self.counts.total()

    def closed_loop(self, clients: int, seconds: float) -> None:
        """Keep ``clients`` calls in flight."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while len(self._calls) < clients:
                self._start()
            self._turn(0.01)

    def open_loop(self, rate: float, seconds: float, *, every_seconds: float, sample: Callable[[float], None]) -> None:
        """Start ``rate`` calls per second at random moments, whatever becomes of them; ``sample`` at steady times."""
        began = time.monotonic()
        due, sample_due = began, began + every_seconds
        while (now := time.monotonic()) < began + seconds:
            while due <= now:
                due += self._random.expovariate(rate)
                if len(self._calls) < IN_FLIGHT_MAX:
                    self._start()
                else:
                    self._end("lost", "too many calls in flight")
            if now >= sample_due:
                sample(now - began)
                sample_due += every_seconds
            self._turn(TURN_SECONDS)

    def finish(self) -> None:
        """Let the calls in flight end, then close all connections."""
        while self._calls:
            self._turn(0.05)
        while self._idle:
            self._idle.popleft()[1].close()
        self._poll.close()

    def _start(self) -> None:
        now = time.monotonic()
        [kind] = self._random.choices(list(SHARES), list(SHARES.values()))
        left = kind in {Kind.WHOLE_LEFT, Kind.STREAM_LEFT}
        connection = self._connection(now)
        call = Call(
            connection=connection,
            kind=kind,
            began=now,
            leave_at=now + self._random.uniform(0.002, 0.1) if left else None,
        )
        self._calls[connection.fileno()] = call
        self._poll.register(connection.fileno(), select.EPOLLIN)
        whole = kind in {Kind.WHOLE, Kind.WHOLE_LEFT}
        try:
            connection.sendall(self._requests.whole if whole else self._requests.stream)
        except OSError as error:
            self._drop(call, "lost", f"sending: {error!r}")

    def _connection(self, now: float) -> socket.socket:
        while self._idle and self._idle[0][0] < now - IDLE_SECONDS:
            self._idle.popleft()[1].close()
        if self._idle:
            return self._idle.pop()[1]
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _turn(self, wait_seconds: float) -> None:
        for number, _ in self._poll.poll(wait_seconds):
            self._read(self._calls[number])
        now = time.monotonic()
        for call in list(self._calls.values()):
            if call.leave_at is not None and now >= call.leave_at:
                self._drop(call, "left")
            elif now > call.began + CALL_SECONDS_MAX:
                self._drop(call, "lost", f"{call.kind.name} took more than {CALL_SECONDS_MAX:g} s")

    def _read(self, call: Call) -> None:
        try:
            data = call.connection.recv(PIECE_BYTES)
        except OSError as error:
            self._drop(call, "lost", f"{call.kind.name}: {error!r}")
            return
        if not data:
            self._drop(call, "lost", f"{call.kind.name}: closed after {call.answer.events} events")
            return
        answer = call.answer
        answer.feed(data)
        if not answer.whole:
            return
        events = self._requests.events if answer.stream else 0
        if answer.status == HTTPStatus.OK and answer.events == events:
            number = call.connection.fileno()
            del self._calls[number]
            self._poll.unregister(number)
            self._idle.append((time.monotonic(), call.connection))
            self._end("ok")
        else:
            self._drop(call, "bad", f"{call.kind.name}: status {answer.status}, {answer.events} events")

    def _drop(self, call: Call, how: str, complaint: str = "") -> None:
        number = call.connection.fileno()
        del self._calls[number]
        self._poll.unregister(number)
        call.connection.close()
        self._end(how, complaint)

    def _end(self, how: str, complaint: str = "") -> None:
        self.counts[how] += 1
        if complaint and len(self.complaints) < 10:  # noqa: PLR2004 - enough to see what it is
            self.complaints.append(complaint)
