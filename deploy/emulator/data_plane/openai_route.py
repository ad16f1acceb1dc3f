"""The platform's OpenAI route of a queue endpoint: each call becomes a job, whose id nobody is told.

The edge ends a call whose answer has not begun after 100 seconds; the job goes on, and so does its bill. A client that
leaves ends nothing either.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from deploy.emulator.data_plane.conductor import Conductor
from deploy.emulator.data_plane.connection import break_off
from deploy.emulator.data_plane.entrance import EDGE_SECONDS, body_up_to, edge_timeout, json_object
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.job import Job, JobStatus

OPENAI_METHODS = ["GET", "POST"]
OPENAI_BYTES_MAX = 20_000_000


class OpenaiRoute:
    """Serves ``/openai/v1/…``."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._clock = conductor.clock

    async def serve(self, request: Request, endpoint: Endpoint, ending: AsyncExitStack) -> Response:
        """Serve one call; ``GET /openai/v1/models`` is a job like any other and wakes a worker."""
        job_input: dict[str, Any] = {"openai_route": f"/{request.path_params['path']}", "openai_input": None}
        if request.method == "POST":
            job_input["openai_input"] = json_object(await body_up_to(request, OPENAI_BYTES_MAX, 400))
        job = self._conductor.world.submit(endpoint.id, job_input, self._clock.now(), sync=True)
        streams = bool((job_input["openai_input"] or {}).get("stream"))
        try:
            async with self._clock.timeout(EDGE_SECONDS):
                while job.open and not (streams and job.output):
                    await self._conductor.changed(job)
        except TimeoutError:
            return edge_timeout()
        if job.output and isinstance(job.output[0], str):
            pieces = self._pieces(request, job)
            ending.push_async_callback(pieces.aclose)
            return StreamingResponse(pieces, media_type="text/event-stream")
        if job.status is JobStatus.COMPLETED and job.output:
            return JSONResponse(job.output[0])
        return self._failure(endpoint, job)

    def _failure(self, endpoint: Endpoint, job: Job) -> Response:
        """How a job that failed is told. No source documents it; both ways were reported."""
        if endpoint.faults.failed_openai == "status_200":
            return JSONResponse(job.answer(self._clock.now()))
        return JSONResponse({"error": job.error or f"the job is {job.status.value}"}, status_code=500)

    async def _pieces(self, request: Request, job: Job) -> AsyncGenerator[str, None]:
        attempt, sent = job.attempt, 0
        while job.attempt == attempt:
            while sent < len(job.output):
                yield job.output[sent]
                sent += 1
            if not job.open:
                return
            try:
                async with self._clock.timeout(EDGE_SECONDS):
                    await self._conductor.changed(job)
            except TimeoutError:
                break
        break_off(request.scope)
