"""A queue endpoint's operations, below ``/v2/{endpoint_id}``."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.data_plane.conductor import Conductor
from deploy.emulator.data_plane.entrance import EDGE_SECONDS, Guarded, Turned, body_up_to, edge_timeout, json_object
from deploy.emulator.data_plane.openai_route import OPENAI_METHODS, OpenaiRoute
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.errors import UnknownJob
from deploy.emulator.model.job import TTL_MS, Job, Policy
from deploy.emulator.model.queue import drain

RUN_BYTES_MAX = 10_000_000
RUNSYNC_BYTES_MAX = 20_000_000
WAIT_MS = (1_000, 300_000)
WAIT_MS_DEFAULT = 90_000
_SEVEN_DAYS_MS = 604_800_000
EXECUTION_TIMEOUT_MS = (5_000, _SEVEN_DAYS_MS)
TTL_RANGE_MS = (10_000, _SEVEN_DAYS_MS)


class QueueRoutes:
    """Every operation of queue endpoints."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._world = conductor.world
        self._clock = conductor.clock

    def routes(self) -> list[Route]:
        """Where they are."""
        openai = OpenaiRoute(self._conductor)
        table = (
            ("run", "run", "POST", self._run),
            ("runsync", "runsync", "POST", self._runsync),
            ("status", "status/{job_id}", "GET", self._status),
            ("stream", "stream/{job_id}", "GET", self._stream),
            ("cancel", "cancel/{job_id}", "POST", self._cancel),
            ("retry", "retry/{job_id}", "POST", self._retry),
            ("purge-queue", "purge-queue", "POST", self._purge),
            ("requests", "requests", "GET", self._requests),
        )
        made = [
            Route(f"/v2/{{endpoint_id}}/{path}", Guarded(self._conductor, name, "QUEUE", handler), methods=[method])
            for name, path, method, handler in table
        ]
        health = Guarded(self._conductor, "health", None, self._health)
        made.append(Route("/v2/{endpoint_id}/health", health, methods=["GET"]))
        guarded = Guarded(self._conductor, "openai", "QUEUE", openai.serve)
        made.append(Route("/v2/{endpoint_id}/openai/{path:path}", guarded, methods=OPENAI_METHODS))
        return made

    async def _run(self, request: Request, endpoint: Endpoint, _ending: AsyncExitStack) -> Response:
        job = self._submit(endpoint, await body_up_to(request, RUN_BYTES_MAX, 400), sync=False)
        return JSONResponse({"id": job.id, "status": "IN_QUEUE"})

    async def _runsync(self, request: Request, endpoint: Endpoint, _ending: AsyncExitStack) -> Response:
        wait = _wait_seconds(request)
        job = self._submit(endpoint, await body_up_to(request, RUNSYNC_BYTES_MAX, 400), sync=True)
        try:
            async with self._clock.timeout(min(wait, EDGE_SECONDS)):
                while job.open:
                    await self._conductor.changed(job)
        except TimeoutError:
            if wait > EDGE_SECONDS:
                return edge_timeout()
        return JSONResponse(job.answer(self._clock.now()))

    def _submit(self, endpoint: Endpoint, body: bytes, *, sync: bool) -> Job:
        asked = json_object(body)
        job_input = asked.get("input")
        if not isinstance(job_input, dict):
            raise Turned(400, {"error": "input is required and has to be an object"})
        return self._world.submit(
            endpoint.id,
            job_input,
            self._clock.now(),
            policy=_policy(asked.get("policy") or {}),
            sync=sync,
            webhook=str(asked.get("webhook") or ""),
        )

    async def _status(self, request: Request, endpoint: Endpoint, _ending: AsyncExitStack) -> Response:
        return JSONResponse(self._job(request, endpoint).answer(self._clock.now()))

    async def _stream(self, request: Request, endpoint: Endpoint, _ending: AsyncExitStack) -> Response:
        job = self._job(request, endpoint)
        return JSONResponse({"status": job.status.value, "stream": [{"output": piece} for piece in drain(job)]})

    async def _cancel(self, request: Request, endpoint: Endpoint, _ending: AsyncExitStack) -> Response:
        job = self._job(request, endpoint)
        self._world.cancel(job, self._clock.now())
        return JSONResponse({"id": job.id, "status": job.status.value})

    async def _retry(self, request: Request, endpoint: Endpoint, _ending: AsyncExitStack) -> Response:
        job = self._job(request, endpoint)
        if not self._world.retry(job, self._clock.now()):
            raise Turned(400, {"error": "only a failed or timed-out job can be retried"})
        return JSONResponse({"id": job.id, "status": "IN_QUEUE"})

    async def _purge(self, _request: Request, endpoint: Endpoint, _ending: AsyncExitStack) -> Response:
        removed = self._world.purge(endpoint.id, self._clock.now())
        return JSONResponse({"removed": removed, "status": "completed"})

    async def _requests(self, _request: Request, endpoint: Endpoint, _ending: AsyncExitStack) -> Response:
        now = self._clock.now()
        self._world.advance(now)
        return JSONResponse({"requests": [job.answer(now) for job in endpoint.jobs.values()]})

    async def _health(self, _request: Request, endpoint: Endpoint, _ending: AsyncExitStack) -> Response:
        self._world.advance(self._clock.now())
        return JSONResponse(endpoint.health())

    def _job(self, request: Request, endpoint: Endpoint) -> Job:
        self._world.advance(self._clock.now())
        try:
            return self._world.job(endpoint.id, request.path_params["job_id"])
        except UnknownJob:
            raise Turned(404, {"error": "request does not exist"}) from None


def _wait_seconds(request: Request) -> float:
    text = request.query_params.get("wait", str(WAIT_MS_DEFAULT))
    least, most = WAIT_MS
    if not text.isdigit() or not least <= int(text) <= most:
        raise Turned(400, {"error": f"wait has to be {least} to {most} milliseconds"})
    return int(text) / 1000


def _policy(asked: Mapping[str, Any]) -> Policy:
    return Policy(
        execution_timeout_ms=_milliseconds(asked, "executionTimeout", EXECUTION_TIMEOUT_MS),
        ttl_ms=_milliseconds(asked, "ttl", TTL_RANGE_MS) or TTL_MS,
        low_priority=bool(asked.get("lowPriority")),
    )


def _milliseconds(asked: Mapping[str, Any], name: str, limits: tuple[int, int]) -> int | None:
    value = asked.get(name)
    if value is None:
        return None
    least, most = limits
    if not isinstance(value, int) or not least <= value <= most:
        raise Turned(400, {"error": f"policy.{name} has to be {least} to {most} milliseconds"})
    return value
