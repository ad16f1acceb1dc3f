"""A real HTTP server on 127.0.0.1 that imitates a vLLM server, and every way such a server can fail.

In a test's own loop: ``async with OpenAIUpstream() as upstream``. Beside synchronous code: ``with
OpenAIUpstream().in_thread() as upstream``. As a process: ``python -m
tests.doubles.openai_upstream --port N``.

How a request is answered: as ``down`` says where it is set, else by the JSON object in its ``behaviour`` field
(fields as in ``Behaviour``), else by the next of ``script``, else by ``default``. Only POSTs to generating routes
consume the script.
"""

import argparse
import asyncio
import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Self

from tests.doubles.openai_behaviour import Behaviour, Received
from tests.doubles.openai_completions import Event
from tests.doubles.openai_connection import ClientGoneError, Connection
from tests.doubles.openai_rules import GENERATING, decide, error_body

GO_ON_SECONDS = 0.01
"""How often it is looked whether a test lets an answer go on."""


class OpenAIUpstream:
    """The server. ``requests`` holds every request it received, in order; GETs too.

    ``beside`` is a server whose script this one shares: what is scripted next happens to whichever of them is asked
    next. ``down`` is how everything is answered during an outage, GETs and unknown paths included.
    """

    def __init__(
        self,
        *,
        models: Collection[str] = ("double-8b",),
        api_key: str | None = None,
        port: int = 0,
        default: Behaviour | None = None,
        beside: "OpenAIUpstream | None" = None,
    ) -> None:
        self.models = tuple(models)
        self.api_key = api_key
        self.default = self._first_default = default or Behaviour()
        self.requests: list[Received] = []
        self.down: Behaviour | None = None
        self._script: deque[Behaviour] = deque() if beside is None else beside._script
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """Base URL, ending in ``/v1``."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def posts(self) -> list[Received]:
        """The requests that asked for work."""
        return [request for request in self.requests if request.method == "POST"]

    def script(self, *behaviours: Behaviour) -> None:
        """Answer the next requests so, one behaviour each, after those scripted before."""
        self._script.extend(behaviours)

    def forget(self) -> None:
        """Start afresh: no recorded requests, no script, the default as it was at first."""
        self.default, self.down = self._first_default, None
        self.requests.clear()
        self._script.clear()

    def wait_until(self, condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
        """Block until something that the server did makes ``condition`` hold; not from the server's own loop.

        Raises:
            TimeoutError: It does not hold after ``seconds``.
        """
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                text = f"not so after {seconds} s; requests: {self.requests}"
                raise TimeoutError(text)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=512)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Run in a thread with a loop of its own."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="openai-upstream")
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result(10)
            try:
                yield self
            finally:
                asyncio.run_coroutine_threadsafe(self.__aexit__(), loop).result(10)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until either side ends it."""
        connection = Connection(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        feeding = asyncio.get_running_loop().create_task(connection.feed())
        try:
            while await self._exchange(connection):
                pass
        except (ClientGoneError, asyncio.CancelledError):
            # Cancelled only when the server stops; a task that ends cancelled would be reported as an error.
            pass
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await connection.close()
            self._tasks.discard(task)

    async def _exchange(self, connection: Connection) -> bool:
        """One request and its answer; returns whether the connection may take another."""
        request = await connection.request()
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        try:
            return await _Answering(self, connection, request).run(self._behaviour(request))
        except ClientGoneError:
            request.closed_early, request.closed_at = True, connection.gone_at or time.monotonic()
            raise
        finally:
            request.ended_at = time.monotonic()
            with self._changed:
                self._changed.notify_all()

    def _behaviour(self, request: Received) -> Behaviour:
        if self.down is not None:
            return self.down
        if request.method != "POST" or request.path not in GENERATING:
            return Behaviour()
        with contextlib.suppress(ValueError, AttributeError):
            if asked := request.json().get("behaviour"):
                return Behaviour(**asked)
        return self._script.popleft() if self._script else self.default


class _Answering:
    """One answer on its way out."""

    def __init__(self, upstream: OpenAIUpstream, connection: Connection, request: Received) -> None:
        self._upstream = upstream
        self._connection = connection
        self._request = request

    async def run(self, behaviour: Behaviour) -> bool:
        """Answer; returns whether the connection may take another request."""
        if behaviour.silent:
            await self._connection.pause(None)
        if behaviour.reset_at_once:
            self._connection.reset()
            return False
        if behaviour.delay_seconds:
            await self._connection.pause(behaviour.delay_seconds)
        if behaviour.body is not None:
            return await self._plain(behaviour.status, behaviour.body, behaviour)
        if behaviour.status != HTTPStatus.OK:
            error = error_body(behaviour.status, "scripted failure")
            return await self._plain(behaviour.status, _json(error), behaviour)
        status, answer = decide(self._request, behaviour, models=self._upstream.models, api_key=self._upstream.api_key)
        if isinstance(answer, Iterator):
            return await self._stream(answer, behaviour)
        if status == HTTPStatus.OK:
            answer = {**answer, **_additions(behaviour)}
            return await self._plain(status, _json(answer), behaviour)
        return await self._plain(status, _json(answer), Behaviour())

    async def _plain(self, status: int, body: bytes, behaviour: Behaviour) -> bool:
        """A whole answer with its length; faults strike after half of the body."""
        length = "connection: close" if behaviour.close_delimited else f"content-length: {len(body)}"
        head = [f"content-type: {behaviour.content_type}", length]
        if behaviour.garble_at is not None:
            body = body[: len(body) // 2].ljust(len(body))
        await self._head(status, head, behaviour)
        faults = (behaviour.stall_after, behaviour.cut_after, behaviour.reset_after)
        if all(fault is None for fault in faults):
            await self._write(body, behaviour)
            return not behaviour.close_delimited
        await self._write(body[: len(body) // 2], behaviour)
        await self._strike(behaviour, tokens=max(fault for fault in faults if fault is not None))
        return False

    async def _stream(self, events: Iterator[Event], behaviour: Behaviour) -> bool:
        """Server-sent events in HTTP chunks; faults strike between tokens."""
        head = ["content-type: text/event-stream; charset=utf-8", "transfer-encoding: chunked"]
        await self._head(200, head, behaviour)
        additions = _additions(behaviour)
        for event in events:
            if event.tokens and await self._strike(behaviour, tokens=self._request.tokens_sent):
                return False
            if event.tokens and behaviour.end_after == self._request.tokens_sent:
                break
            if event.tokens and not self._request.tokens_sent and behaviour.first_token_seconds:
                await self._connection.pause(behaviour.first_token_seconds)
            while event.tokens and behaviour.go_on is not None and not behaviour.go_on.is_set():
                await self._connection.pause(GO_ON_SECONDS)
            if event.tokens and behaviour.pace_seconds:
                await self._connection.pause(behaviour.pace_seconds)
            if event.tokens and behaviour.garble_at == self._request.tokens_sent:
                data = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"del\xff\n\n'
            else:
                data = _event(event, additions)
            additions = dict(behaviour.extra)
            await self._write(b"%x\r\n%s\r\n" % (len(data), data), behaviour)
            self._request.tokens_sent += event.tokens
        if await self._strike(behaviour, tokens=self._request.tokens_sent):
            return False
        await self._write(b"0\r\n\r\n", behaviour)
        return True

    async def _strike(self, behaviour: Behaviour, *, tokens: int) -> bool:
        """Bring on the fault that is due after so many tokens; returns whether the connection is over."""
        if behaviour.stall_after == tokens:
            await self._connection.pause(None)
        if behaviour.cut_after == tokens:
            return True
        if behaviour.reset_after == tokens:
            self._connection.reset()
            return True
        return False

    async def _head(self, status: int, lines: list[str], behaviour: Behaviour) -> None:
        phrase = HTTPStatus(status).phrase
        if behaviour.retry_after is not None:
            lines.append(f"retry-after: {behaviour.retry_after}")
        head = "\r\n".join([f"HTTP/1.1 {status} {phrase}", "server: uvicorn", *lines, "", ""])
        await self._connection.write(head.encode("latin-1"))

    async def _write(self, data: bytes, behaviour: Behaviour) -> None:
        size = behaviour.write_bytes or len(data)
        for at in range(0, len(data), max(1, size)):
            await self._connection.write(data[at : at + size])
            if size < len(data):
                await asyncio.sleep(0)


def _additions(behaviour: Behaviour) -> dict[str, Any]:
    padding = {"padding": "x" * behaviour.padding_bytes} if behaviour.padding_bytes else {}
    return {**behaviour.extra, **padding}


def _event(event: Event, additions: Mapping[str, Any]) -> bytes:
    data = event.data.encode() if isinstance(event.data, str) else _json({**event.data, **additions})
    name = f"event: {event.name}\n".encode() if event.name else b""
    return name + b"data: " + data + b"\n\n"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def _run(port: int, models: Collection[str], api_key: str | None) -> None:
    async with OpenAIUpstream(models=models, api_key=api_key, port=port) as upstream:
        print(upstream.url, flush=True)  # noqa: T201 -- whoever started the process reads it
        await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted; the base URL is the first line of the output."""
    parser = argparse.ArgumentParser(description="A double of a vLLM server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", action="append", help="model to serve; may be repeated")
    parser.add_argument("--api-key")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(arguments.port, arguments.model or ["double-8b"], arguments.api_key))


if __name__ == "__main__":
    main()
