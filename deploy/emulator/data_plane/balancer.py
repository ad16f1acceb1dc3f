"""Load-balancing endpoints: a request goes straight to a worker, on any path, with no queue before it.

They have a host of their own (``{endpoint_id}.api.runpod.ai``); here also a path of their own (``/lb/{endpoint_id}``).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from deploy.emulator.data_plane.conductor import Conductor
from deploy.emulator.data_plane.connection import break_off
from deploy.emulator.data_plane.entrance import Guarded, Turned, body_up_to
from deploy.emulator.data_plane.handler import engine_error, spoiled
from deploy.emulator.data_plane.pieces import StreamCut
from deploy.emulator.engines.reply import Call, EngineFailed, Reply, whole
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.worker import Worker, WorkerState

WORKER_WAIT_SECONDS = 120.0
STRICT_WAIT_SECONDS = 300.0
PROCESSING_SECONDS_MAX = 330.0
PAYLOAD_BYTES_MAX = 30_000_000
WORKER_HEADER = "x-runpod-worker-id"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
COLD: Mapping[str, Mapping[str, str | int]] = {
    "timed_out": {"status": 400, "title": "Bad Request", "detail": "timed out waiting for worker"},
    "no_workers": {"error": "no workers available"},
}
"""The two bodies that were reported for an HTTP 400 when no worker came in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """Which worker a request wants: none, one if it can be had (soft), or that one alone."""

    worker_id: str | None = None
    strict: bool = False
    resume: bool = False

    @classmethod
    def parse(cls, header: str) -> "Affinity":
        """Read ``<id>``, ``strict <id>`` or ``strict-resume <id>``."""
        words = header.split()
        if not words:
            return cls()
        mode = words[0].lower() if len(words) > 1 else ""
        return cls(worker_id=words[-1], strict=mode.startswith("strict"), resume=mode == "strict-resume")


class Balancer:
    """Serves load-balancing endpoints."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._world = conductor.world
        self._clock = conductor.clock

    def routes(self) -> list[Route]:
        """Where they are, by path; the host's form is turned into it before."""
        guarded = Guarded(self._conductor, "balance", "LOAD_BALANCER", self.serve)
        return [Route("/lb/{endpoint_id}/{path:path}", guarded, methods=METHODS)]

    async def serve(self, request: Request, endpoint: Endpoint, ending: AsyncExitStack) -> Response:
        """Serve one request: wait for a worker, hand it over, pass its answer on."""
        body = await body_up_to(request, PAYLOAD_BYTES_MAX, 413)
        worker = await self._worker(endpoint, Affinity.parse(request.headers.get(WORKER_HEADER, "")))
        ending.callback(self._done, worker)
        if not worker.config.routable:
            raise Turned(502, {"error": "bad gateway"})
        ends_at = self._clock.now() + PROCESSING_SECONDS_MAX
        try:
            async with self._clock.timeout(PROCESSING_SECONDS_MAX):
                reply = await self._ask(endpoint, worker, _call(request, body))
                pieces = spoiled(reply, endpoint.faults)
                ending.push_async_callback(pieces.aclose)
                first = await anext(pieces, b"")
        except TimeoutError:
            raise Turned(524, {"error": "processing took too long"}) from None
        except (EngineFailed, StreamCut):
            raise Turned(502, {"error": "bad gateway"}) from None
        rest = self._rest(request, first, pieces, ends_at)
        headers = dict(reply.headers) | {WORKER_HEADER: worker.id}
        return StreamingResponse(rest, reply.status, headers, reply.content_type or None)

    async def _worker(self, endpoint: Endpoint, affinity: Affinity) -> Worker:
        """A worker that has taken the request, or an answer that there is none."""
        self._world.arrive(endpoint, self._clock.now())
        given: Worker | None = None
        try:
            async with self._clock.timeout(STRICT_WAIT_SECONDS if affinity.strict else WORKER_WAIT_SECONDS):
                while given is None:
                    given = self._begun(endpoint, affinity)
                    if given is None:
                        await self._conductor.changed()
        except TimeoutError:
            raise Turned(400, COLD[endpoint.faults.cold_body]) from None
        finally:
            if given is None:
                self._world.give_up(endpoint, self._clock.now())
        return given

    def _done(self, worker: Worker) -> None:
        self._world.done(worker, self._clock.now())

    def _begun(self, endpoint: Endpoint, affinity: Affinity) -> Worker | None:
        now = self._clock.now()
        if affinity.worker_id is None:
            return self._world.begin(endpoint, now)
        wanted = endpoint.workers.get(affinity.worker_id)
        if wanted is None and affinity.strict:
            raise Turned(404, {"error": "affinity_worker_gone"})
        if wanted is not None and wanted.state is WorkerState.IDLE and affinity.resume:
            self._world.revive(wanted, now)
        given = self._world.begin(endpoint, now, worker_id=affinity.worker_id)
        return given if given is not None or affinity.strict else self._world.begin(endpoint, now)

    async def _ask(self, endpoint: Endpoint, worker: Worker, call: Call) -> Reply:
        status = endpoint.faults.engine_status
        if status is not None:
            return Reply(status=status, content_type="application/json", pieces=whole(engine_error(status)))
        engine = self._conductor.engine_of(worker)
        if engine is None:
            raise EngineFailed("the worker has gone")
        return await engine.request(call)

    async def _rest(
        self, request: Request, first: bytes, pieces: AsyncIterator[bytes], ends_at: float
    ) -> AsyncIterator[bytes]:
        """The answer's body, as long as it may last."""
        size = len(first)
        try:
            yield first
            while size <= PAYLOAD_BYTES_MAX:
                async with self._clock.timeout(ends_at - self._clock.now()):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                size += len(piece)
                yield piece
            break_off(request.scope)
        except (TimeoutError, EngineFailed, StreamCut):
            break_off(request.scope)


def _call(request: Request, body: bytes) -> Call:
    query = f"?{request.url.query}" if request.url.query else ""
    path = f"/{request.path_params['path']}{query}"
    return Call(method=request.method, path=path, headers=tuple(request.headers.items()), body=body)
