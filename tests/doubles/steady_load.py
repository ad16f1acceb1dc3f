"""Callers that keep their connections, call one after the other, and never try again: whatever fails, they tell.

They go by HTTP alone: a connection whose answer says ``connection: close`` is left, and so is one that was closed
before anything was sent on it. A connection that is closed on a request is a failure.
"""

import asyncio
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

BOUND_SECONDS = 20.0


@dataclass(slots=True, kw_only=True)
class Tally:
    """What the callers have seen.

    Attributes:
        answers, streams: Whole ones.
        closed: Answers that were said to be their connection's last.
        failures: What went wrong, in words.
    """

    answers: int = 0
    streams: int = 0
    closed: int = 0
    failures: list[str] = field(default_factory=list)


class SteadyLoad:
    """The callers, on a thread of their own, while in its context; at its end each finishes the call it is in."""

    def __init__(self, port: int, key: str, *, plain: int = 5, streaming: int = 4, lazy: int = 2) -> None:
        """``plain`` and ``streaming`` callers call again and again; ``lazy`` ones think 0.7 seconds in between."""
        self.tally = Tally()
        self._port = port
        self._key = key
        self._kinds = [(False, 0.01)] * plain + [(True, 0.01)] * streaming + [(False, 0.7)] * lazy
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(2 * BOUND_SECONDS)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        await asyncio.gather(*(self._call_on(streaming, pause) for streaming, pause in self._kinds))

    async def _call_on(self, streaming: bool, pause: float) -> None:
        caller = _Caller(self._port, self._key, streaming, self.tally)
        while not self._stopped.is_set():
            try:
                async with asyncio.timeout(BOUND_SECONDS):
                    await caller.call()
            except (OSError, EOFError, AssertionError, TimeoutError) as error:
                self.tally.failures.append(f"{'stream' if streaming else 'plain'}: {type(error).__name__}: {error}")
                await caller.leave()
            await asyncio.sleep(pause)
        await caller.leave()


class _Caller:
    """One connection at a time."""

    def __init__(self, port: int, key: str, streaming: bool, tally: Tally) -> None:
        self._port = port
        self._streaming = streaming
        self._tally = tally
        body = {"model": "routing", "messages": [{"role": "user", "content": "hello"}], "stream": streaming}
        raw = json.dumps(body).encode()
        self._request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
        ).encode() + raw
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self) -> None:
        """One call, to its end."""
        if self._pair is None or self._pair[0].at_eof():
            await self.leave()
            self._pair = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._pair
        writer.write(self._request)
        await writer.drain()
        status, headers = await _head(reader)
        body = await _body(reader, headers)
        assert status == 200, (status, body)
        if self._streaming:
            assert body.endswith(b"data: [DONE]\n\n"), body[-300:]
            self._tally.streams += 1
        else:
            assert "choices" in json.loads(body), body
            self._tally.answers += 1
        if headers.get("connection") == "close":
            self._tally.closed += 1
            await self.leave()

    async def leave(self) -> None:
        """Close the connection."""
        if self._pair is not None:
            self._pair[1].close()
            with suppress(OSError):
                await self._pair[1].wait_closed()
            self._pair = None


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), headers


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    pieces = []
    while size := int(await reader.readline(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)
