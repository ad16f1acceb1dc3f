"""What every request to the data plane passes first: its key, its endpoint, faults on demand, the rate limit."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from deploy.emulator.data_plane.conductor import Conductor
from deploy.emulator.data_plane.connection import break_off
from deploy.emulator.model.config import EndpointType
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.limits import LIMITS
from deploy.emulator.model.worker import WorkerState

TOO_MANY_REQUESTS = 429
EDGE_SECONDS = 100.0
"""How long the edge waits for the beginning of an answer of a queue endpoint."""
_EDGE_BODY = (
    "<!DOCTYPE html>\n<html><head><title>api.runpod.ai | 524: A timeout occurred</title></head>"
    "<body><h1>Error code 524</h1></body></html>\n"
)
WRONG_TYPE = {"error": "not allowed for QB API"}
Handler = Callable[[Request, Endpoint, AsyncExitStack], Awaitable[Response]]
"""Answers a request. What has to happen when the answer has ended, or its client has left, goes onto the stack: a
body's own ``finally`` may never run."""


class Turned(Exception):
    """The request is answered with this and goes no further."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.response = JSONResponse(dict(body), status_code=status, headers=dict(headers or {}))


class _BrokenOff(Exception):
    """The connection is gone: there is nobody to answer."""


class Guarded:
    """One operation as an application: what comes first, then its handler."""

    def __init__(self, conductor: Conductor, operation: str, kind: EndpointType | None, handler: Handler) -> None:
        """Guard ``handler``, which serves ``operation`` of endpoints of that type (``None``: of both)."""
        self._conductor = conductor
        self._operation = operation
        self._kind = kind
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        try:
            endpoint = self._identified(request)
            await self._spoiled(request, endpoint)
            async with AsyncExitStack() as ending:
                ending.enter_context(self._let_in(endpoint))
                response = await self._handler(request, endpoint, ending)
                await response(scope, receive, send)
        except Turned as turned:
            await turned.response(scope, receive, send)
        except (_BrokenOff, ClientDisconnect):
            return

    def _identified(self, request: Request) -> Endpoint:
        world = self._conductor.world
        account = world.account_of(request.headers.get("authorization", "").removeprefix("Bearer ").strip())
        if account is None:
            raise Turned(401, {"error": "unauthorized"})
        endpoint = world.endpoints.get(request.path_params["endpoint_id"])
        if endpoint is None or endpoint.account_id != account.id:
            raise Turned(404, {"error": "endpoint not found"})
        if self._kind not in (None, endpoint.config.type):
            raise Turned(400, WRONG_TYPE)
        return endpoint

    async def _spoiled(self, request: Request, endpoint: Endpoint) -> None:
        """Do to the request what a fault demands."""
        faults = endpoint.faults
        if self._operation == "health" or not (faults.status or faults.reset or faults.silence):
            return
        if faults.operation not in (None, self._operation):
            return
        if faults.remaining is not None:
            if not faults.remaining:
                return
            endpoint.faults = replace(faults, remaining=faults.remaining - 1)
        if faults.status is not None:
            headers = {"retry-after": "1"} if faults.status == TOO_MANY_REQUESTS else {}
            raise Turned(faults.status, {"error": f"the emulator was asked for HTTP {faults.status}"}, headers)
        if faults.reset:
            break_off(request.scope, reset=True)
            raise _BrokenOff
        while (await request.receive())["type"] != "http.disconnect":
            pass
        raise _BrokenOff

    @contextmanager
    def _let_in(self, endpoint: Endpoint) -> Iterator[None]:
        """Count the request against its operation's rate limit, until its answer has ended."""
        if self._operation not in LIMITS:
            yield
            return
        running = len(endpoint.in_state(WorkerState.RUNNING))
        now = self._conductor.clock.now()
        if not endpoint.gate.enter(self._operation, now, running_workers=running):
            raise Turned(TOO_MANY_REQUESTS, {"error": "too many requests"}, {"retry-after": "10"})
        try:
            yield
        finally:
            endpoint.gate.leave(self._operation)


async def body_up_to(request: Request, bytes_max: int, status: int) -> bytes:
    """The request's body.

    Raises:
        Turned: It has more bytes; answered with ``status``.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > bytes_max:
            raise Turned(status, {"error": f"the body is larger than {bytes_max} bytes"})
    return bytes(body)


def json_object(body: bytes) -> dict[str, Any]:
    """A body as a JSON object.

    Raises:
        Turned: It is none.
    """
    try:
        read = json.loads(body)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise Turned(400, {"error": "the body is not a JSON object"})
    return read


def edge_timeout() -> Response:
    """What the edge answers when it has waited for long enough: no JSON, and no word about the job."""
    return Response(_EDGE_BODY, status_code=524, media_type="text/html", headers={"server": "cloudflare"})
