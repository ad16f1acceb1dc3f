"""What workers on Runpod's SDK ask, below ``/worker/{worker_id}``: for jobs, and to be told what became of them."""

import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.data_plane.conductor import Conductor
from deploy.emulator.engines.job_taker import JobTaker

_NOTHING = 204
_GONE = 404
_UNREADABLE = 400


def worker_environment(origin: str, worker_id: str) -> Mapping[str, str]:
    """Where a worker's SDK is told to ask; ``$ID`` and ``$RUNPOD_POD_ID`` are its own to fill in."""
    base = f"{origin}/worker/{worker_id}"
    return {
        "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=cpu",
        "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$ID?gpu=cpu",
        "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID",
    }


class WorkerRoutes:
    """Every route of workers."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/worker/{worker_id}/job-take/{sdk_id}", self._take, methods=["GET"]),
            Route("/worker/{worker_id}/job-take-batch/{sdk_id}", self._take, methods=["GET"]),
            Route("/worker/{worker_id}/job-done/{job_id}", self._done, methods=["POST"]),
            Route("/worker/{worker_id}/ping/{sdk_id}", self._ping, methods=["GET"]),
        ]

    async def _take(self, request: Request) -> Response:
        taker = self._taker(request)
        if taker is None:
            return Response(status_code=_GONE)
        batch = "/job-take-batch/" in request.url.path
        asked = request.query_params.get("batch_size", "1")
        jobs = await taker.take(int(asked) if batch and asked.isdigit() else 1)
        if not jobs:
            return Response(status_code=_NOTHING)
        return JSONResponse(jobs if batch else jobs[0])

    async def _done(self, request: Request) -> Response:
        taker = self._taker(request)
        if taker is None:
            return Response(status_code=_GONE)
        try:
            body = json.loads(await request.body())
        except ValueError:
            return Response(status_code=_UNREADABLE)
        if isinstance(body, dict):
            taker.told(request.path_params["job_id"], body)
        return JSONResponse({})

    async def _ping(self, request: Request) -> Response:
        return Response(status_code=_GONE) if self._taker(request) is None else JSONResponse({})

    def _taker(self, request: Request) -> JobTaker | None:
        engine = self._conductor.engine_called(request.path_params["worker_id"])
        return engine if isinstance(engine, JobTaker) else None
