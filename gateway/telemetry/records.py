"""The records of the latest requests, kept in the store for the table of calls and for questions afterwards.

Written behind: a request never waits for its record, and while the store is away records wait in a bounded
buffer.
"""

import asyncio
from collections import deque
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.errors import StoreUnavailable
from gateway.record import RequestRecord
from gateway.store.resp import unavailable, words
from gateway.store.script import Commands, Script

RECORDS_MAX: Final = 100_000
"""Records that the store keeps, about, unless it is told otherwise; the oldest go first."""
FORGET_BATCH: Final = 20
"""Entries that one command looks at to find old ones: some milliseconds of the store's time."""
BUFFER_MAX: Final = 10_000
"""Records that one process holds for a store that is away; above it the oldest are dropped."""
BATCH_MAX: Final = 100
"""Records that are written together, as one entry of the stream."""
PAGE_RECORDS: Final = 500
"""Records that one round trip reads, about."""
SCAN_MAX: Final = 20_000
"""Records that one question looks at, at most, from the newest back."""
INTERVAL_SECONDS: Final = 0.05
"""How long records gather before they are written."""
BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""The waits after failed writes; the last one is repeated."""

Row = dict[str, Any]
"""One record as read back, by the field names of ``RequestRecord``."""


class RecordStore:
    """A stream of ``RequestRecord``s that all processes on one store share.

    ``add`` takes a record at once; ``run``, which the owner of this object runs as a task, writes them. ``commands``
    is for writing; ``client`` is for questions, whose long answers would hold up the commands of requests.
    """

    def __init__(
        self,
        client: Redis,
        commands: Commands,
        *,
        prefix: str = "tiergate",
        records_max: int = RECORDS_MAX,
        buffer_max: int = BUFFER_MAX,
    ) -> None:
        self.dropped = 0
        """Records lost because the store was away for too long."""
        self._client = client
        self._commands = commands
        self._stream = stream_of(prefix)
        self._append = Script.of("gateway.telemetry", "append", key=self._stream, keeps="records")
        self._forget = Script.of("gateway.telemetry", "forget", key=self._stream, keeps="records")
        self._records_max = records_max
        self._buffer_max = buffer_max
        self._pending: deque[bytes] = deque()
        self._added = asyncio.Event()
        self._writing = asyncio.Lock()

    def add(self, record: RequestRecord) -> None:
        """Take a record; never waits and never fails."""
        self.keep(record, msgspec.json.encode(record))

    def keep(self, _: RequestRecord, encoded: bytes) -> None:
        """As ``add``, of a record that is JSON already, without line breaks."""
        self._pending.append(encoded)
        if len(self._pending) > self._buffer_max:
            self._trim()
        if not self._added.is_set():
            self._added.set()

    async def run(self) -> None:
        """Write records until cancelled; ``flush`` after that writes the last ones."""
        failures = 0
        while True:
            await self._added.wait()
            await asyncio.sleep(_wait_seconds(failures))
            try:
                await self.flush()
            except StoreUnavailable:
                failures += 1
            else:
                failures = 0

    async def flush(self) -> None:
        """Write what is pending; raises ``StoreUnavailable``, keeping it, if that fails."""
        async with self._writing:
            self._added.clear()
            while self._pending:
                await self._write([self._pending.popleft() for _ in range(min(BATCH_MAX, len(self._pending)))])

    async def recent(self, *, key: str | None, run: str | None, limit: int) -> list[Row]:
        """The latest ``limit`` records of a key, of a run, of both, or of all; newest last.

        Sees every record that this process was given, and looks back over ``SCAN_MAX`` records at most.
        Raises ``StoreUnavailable``.
        """
        await self.flush()
        # By their bytes: a write whose answer was lost is repeated, and the same bytes are the same request.
        found: dict[bytes, Row] = {}
        entries = await self._read(b"+", b"-", count=1)
        for _ in range(SCAN_MAX // PAGE_RECORDS):
            if len(found) >= limit or not entries:
                break
            for _, fields in entries:
                for encoded in reversed(fields[b"record"].split(b"\n")):
                    row = msgspec.json.decode(encoded, type=Row)
                    if (key is None or row["key"] == key) and (run is None or row["run"] == run):
                        found[encoded] = row
            # An entry's id is the number of its last record, so a range of ids is a number of records.
            oldest = entries[-1][0]
            entries = await self._read(b"(" + oldest, b"%d" % max(0, int(oldest.partition(b"-")[0]) - PAGE_RECORDS))
        return list(found.values())[: max(0, limit)][::-1]

    async def forget(self, before_unix: float) -> int:
        """Drop records of requests that came before a moment; how many entries of records went.

        Some that are as old may stay for a while, beside newer ones. Raises ``StoreUnavailable``.
        """
        total, arguments = 0, words(f"{before_unix:.3f}", FORGET_BATCH)
        while True:
            dropped = int(await self._forget.run(self._commands, 2, arguments))
            total += dropped
            if dropped < FORGET_BATCH:
                return total

    def _trim(self) -> None:
        while len(self._pending) > self._buffer_max:
            self._pending.popleft()
            self.dropped += 1

    async def _write(self, batch: list[bytes]) -> None:
        # In pieces that are put together once: they have left the processor's cache since they were made.
        size = -1
        pieces = []
        for encoded in batch:
            size += len(encoded) + 1
            pieces.append(encoded)
            pieces.append(b"\n")
        pieces[-1] = b"\r\n"
        start = self._append.start(3) + words(self._records_max, len(batch)) + b"$%d\r\n" % size
        try:
            await self._append.send(self._commands, 3, b"".join([start, *pieces]))
        except BaseException:
            # Cancelled or failed, they may or may not be in the stream: they are written again.
            self._pending.extendleft(reversed(batch))
            self._trim()
            self._added.set()
            raise

    async def _read(self, newest: bytes, oldest: bytes, *, count: int | None = None) -> list[Any]:
        try:
            # Typed by the client for every protocol at once; in this one they are pairs of id and fields.
            entries: Any = await self._client.xrevrange(self._stream, max=newest, min=oldest, count=count)
        except (RedisError, OSError) as error:
            raise unavailable(error, keeps="records") from error
        return list(entries)


def stream_of(prefix: str) -> bytes:
    """The stream's key in the store."""
    return f"{{{prefix}}}:records".encode()


def _wait_seconds(failures: int) -> float:
    if failures == 0:
        return INTERVAL_SECONDS
    return BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1]
