"""One canonical JSON line per request, and events of the gateway's own life, on one stream.

Every line is an object with ``event`` (a dotted name), ``time`` (RFC 3339, UTC) and keys. Nothing that could be a
secret is ever passed here: records hold no key, prompt or answer.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

from gateway.exchange import Clock, RequestRecord


class Log:
    """Writes lines to ``stream``. A stream that cannot be written to loses lines, never a request."""

    def __init__(self, stream: BinaryIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock

    def request(self, record: RequestRecord) -> None:
        """The canonical line of a request that ended: every field of its record."""
        self._write({"event": "request.ended", "time": _time(record.received_unix)} | _rounded(record))

    def event(self, name: str, /, **keys: object) -> None:
        """Something that happened to the gateway itself."""
        self._write({"event": name, "time": _time(self._clock.unix())} | keys)

    def _write(self, line: dict[str, object]) -> None:
        try:
            self._stream.write(msgspec.json.encode(line) + b"\n")
            self._stream.flush()
        except (OSError, ValueError):
            return


def _rounded(record: RequestRecord) -> dict[str, object]:
    """Microseconds are as fine as any clock here is worth printing."""
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(record).items()}


def _time(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
