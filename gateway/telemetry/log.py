"""One canonical JSON line per request, and events of the gateway's own life, on one stream.

Every line is an object with ``event`` (a dotted name), ``time`` (RFC 3339, UTC) and keys. Nothing that could be a
secret is ever passed here: records hold no key, prompt or answer.

Lines of requests gather for a moment and are written together: a write of its own for each costs more than the rest of
what is told of a request.
"""

import asyncio
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

from gateway.exchange import Clock, RequestRecord

GATHER_SECONDS = 0.05
"""How long a request's line waits for others, at most."""
LINES_MAX = 1000
"""Lines that gather; when there are so many, they are written at once."""

_MICROSECONDS = 1_000_000
_REQUEST_ENDED = b'{"event":"request.ended","time":"'


class Log:
    """Writes lines to ``stream``, in their order. A stream that cannot be written to loses lines, never a request.

    Where an event loop runs, lines of requests are written within ``GATHER_SECONDS``; otherwise, and all events, at
    once. Whoever stops that loop calls ``flush`` at the end.
    """

    def __init__(self, stream: BinaryIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._second = -1
        self._second_text = b""

    def request(self, record: RequestRecord, encoded: bytes) -> None:
        """The canonical line of a request that ended: every field of its record, of which ``encoded`` is the JSON."""
        time = self._time(record.received_unix)
        self._lines.append(b"".join((_REQUEST_ENDED, time, b'",', encoded[1:], b"\n")))
        if self._timer is None:
            self._write_soon()
        elif len(self._lines) >= LINES_MAX:
            self.flush()

    def event(self, name: str, /, **keys: object) -> None:
        """Something that happened to the gateway itself."""
        time = self._time(self._clock.unix()).decode()
        try:
            self._lines.append(msgspec.json.encode({"event": name, "time": time} | keys) + b"\n")
        except ValueError:  # a text that is no Unicode
            return
        self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._stream.write(b"".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            return

    def _write_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            self._timer = loop.call_later(GATHER_SECONDS, self.flush)

    def _time(self, unix: float) -> bytes:
        """To the millisecond. Lines of one second share its text, which is most of the work."""
        second, microsecond = divmod(round(unix * _MICROSECONDS), _MICROSECONDS)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return b"%b.%03dZ" % (self._second_text, microsecond // 1000)
