"""One canonical JSON line per request, and events of the gateway's own life, on one stream.

Every line is an object with ``event`` (a dotted name), ``time`` (RFC 3339, UTC) and keys. Nothing that could be a
secret is ever passed here: records hold no key, prompt or answer.

Lines of requests gather for a moment and are written together: a write of its own for each costs more than the rest of
what is told of a request. Where several processes share the stream, no line gets into the middle of another's.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import BinaryIO, Final

import msgspec

from gateway.exchange import Clock
from gateway.record import RequestRecord

GATHER_SECONDS: Final = 0.05
"""How long a request's line waits for others, at most."""
LINES_MAX: Final = 1000
"""Lines that gather; when there are so many, they are written at once."""

_HALF_A_MICROSECOND: Final = 0.0005
"""In milliseconds: times are whole microseconds, and a float may be a little less."""
_MILLISECONDS: Final = [b"%03dZ" % number for number in range(1000)]
_REQUEST_ENDED: Final = b'{"event":"request.ended","time":"'


class Log:
    """Writes lines to ``stream``, in their order. A stream that cannot be written to loses lines, never a request.

    Where an event loop runs, lines of requests are written within ``GATHER_SECONDS``; otherwise, and all events, at
    once. Whoever stops that loop calls ``flush`` at the end.

    ``piece_bytes_max`` is for a stream that other processes write to as well: no write is longer, and each ends with a
    line. A pipe takes ``select.PIPE_BUF`` bytes as a whole, so lines of several processes do not mix there. A line
    that is longer than this by itself is written at once all the same, and only such a one can be broken by others'.
    """

    def __init__(self, stream: BinaryIO, clock: Clock, *, piece_bytes_max: int | None = None) -> None:
        self._stream = stream
        self._clock = clock
        self._piece_bytes_max = piece_bytes_max
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

    def event(self, event: str, /, **keys: object) -> None:
        """Something that happened to the gateway itself."""
        time = self._time(self._clock.unix()).decode()
        try:
            self._lines.append(msgspec.json.encode({"event": event, "time": time} | keys) + b"\n")
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
            for piece in (lines,) if self._piece_bytes_max is None else pieces(lines, self._piece_bytes_max):
                self._stream.write(b"".join(piece))
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
        milliseconds = int(unix * 1000 + _HALF_A_MICROSECOND)
        second = milliseconds // 1000
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.").encode()
        return self._second_text + _MILLISECONDS[milliseconds - second * 1000]


def pieces(lines: Sequence[bytes], bytes_max: int) -> Iterator[list[bytes]]:
    """Runs of ``lines`` of at most ``bytes_max`` bytes each; a line that is longer is a run of its own."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > bytes_max:
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield piece
