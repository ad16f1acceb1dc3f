"""A worker's log as Server-Sent Events: the latest lines, then each new one, until the caller leaves.

An event's id is its line's time and its place among the lines of that time, so a stream can be resumed without a gap
where many lines were written at once.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.moments import rfc3339_precise, seconds_of
from deploy.emulator.control_plane.parameters import integer, moment, word
from deploy.emulator.control_plane.problems import not_found, unprocessable
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.model.errors import UnknownWorker
from deploy.emulator.model.worker import LOG_LINES_MAX, LogLine, LogSource, Worker
from deploy.emulator.model.world import World

TAIL_LINES = 100
_HEADERS = {"cache-control": "no-cache", "connection": "keep-alive", "x-accel-buffering": "no"}
Position = tuple[str, int]
"""A line's time as it is told, and its place among the lines of that time."""


@dataclass(frozen=True, slots=True)
class WorkerLogs:
    """The route ``/v2/serverless/{id}/workers/{workerId}/logs``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """It."""
        return [resource("/v2/serverless/{id}/workers/{workerId}/logs", get=self.read)]

    async def read(self, request: Request) -> Response:
        """The stream, of one source or both, from where it is asked for."""
        endpoint = self.desk.endpoint(request)
        query = request.query_params
        source = word(query, "source", get_args(LogSource))
        tail = integer(query, "tail", least=0, most=LOG_LINES_MAX)
        since = moment(query.get("since"), "since")
        resumed = request.headers.get("last-event-id")
        try:
            worker = self.desk.world.worker(endpoint.id, request.path_params["workerId"])
        except UnknownWorker as error:
            raise not_found("worker") from error
        lines = [(place, line) for place, line in positions(worker) if source in (None, line.source)]
        if resumed is not None:
            after = _position(resumed)
            backfill = [(place, line) for place, line in lines if place > after]
        elif since is not None:
            backfill = [(place, line) for place, line in lines if line.at >= since]
        else:
            backfill = lines[len(lines) - min(len(lines), TAIL_LINES if tail is None else tail) :]
        last = lines[-1][0] if lines else ("", 0)
        return LogStream(self.desk.world, worker, source=source, backfill=backfill, last=last)


class LogStream(Response):
    """An answer that goes on until its reader leaves."""

    media_type = "text/event-stream"

    def __init__(
        self,
        world: World,
        worker: Worker,
        *,
        source: str | None,
        backfill: list[tuple[Position, LogLine]],
        last: Position,
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._world = world
        self._worker = worker
        self._source = source
        self._backfill = backfill
        self._last = last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the reader leaves."""
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.get_running_loop().create_task(self._send(send))
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        async for place, line in self._lines():
            await send({"type": "http.response.body", "body": event(place, line), "more_body": True})

    async def _lines(self) -> AsyncIterator[tuple[Position, LogLine]]:
        for place, line in self._backfill:
            yield place, line
        changed = asyncio.Event()
        self._world.listeners.append(changed.set)
        try:
            while True:
                changed.clear()
                for place, line in list(positions(self._worker)):
                    if place > self._last:
                        self._last = place
                        if self._source in (None, line.source):
                            yield place, line
                await changed.wait()
        finally:
            self._world.listeners.remove(changed.set)


def positions(worker: Worker) -> Iterator[tuple[Position, LogLine]]:
    """A worker's lines with their positions, which go up."""
    time, number = "", 0
    for line in worker.log:
        told = rfc3339_precise(line.at)
        number = number + 1 if told == time else 0
        time = told
        yield (told, number), line


def event(place: Position, line: LogLine) -> bytes:
    """A line as an event."""
    told, number = place
    data = json.dumps({"ts": told, "source": line.source, "line": line.text}, ensure_ascii=False)
    return f"id: {told}/{number:012d}\ndata: {data}\n\n".encode()


def _position(text: str) -> Position:
    """The place that ``Last-Event-ID`` names: an event's id, or any moment."""
    told, _, number = text.partition("/")
    try:
        return rfc3339_precise(seconds_of(told)), int(number) if number else LOG_LINES_MAX
    except ValueError as error:
        raise unprocessable(f"header.Last-Event-ID: {text!r} is not valid date-time") from error
