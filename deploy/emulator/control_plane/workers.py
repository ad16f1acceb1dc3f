"""An endpoint's workers as the API lists them.

Its words are not the model's: RUNNING works on something, IDLE is up and waits for work, INITIALIZING is on its way,
also while its model loads. Scaled-down workers are not listed. There is no ``ready`` here: that is of ``/health``, and
the two disagree while a model loads.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.moments import rfc3339
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.worker import Worker, WorkerState

STATUSES = ("RUNNING", "IDLE", "INITIALIZING", "THROTTLED", "UNHEALTHY")
_PLACED = frozenset({WorkerState.RUNNING, WorkerState.OUTDATED, WorkerState.INITIALIZING, WorkerState.UNHEALTHY})


@dataclass(frozen=True, slots=True)
class Workers:
    """The route ``/v2/serverless/{id}/workers``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """It."""
        return [resource("/v2/serverless/{id}/workers", get=self.list_all)]

    async def list_all(self, request: Request) -> Response:
        """The workers that are there, and how many are in which state."""
        endpoint = self.desk.endpoint(request)
        now = self.desk.clock.now()
        shown = [view(worker, endpoint, now) for worker in listed(endpoint)]
        counts = Counter(worker["status"] for worker in shown)
        summary = {status.lower(): counts[status] for status in STATUSES} | {"total": len(shown)}
        return JSONResponse({"workers": shown, "summary": summary, "endpointVersion": endpoint.version})


def listed(endpoint: Endpoint) -> list[Worker]:
    """Its workers without the scaled-down ones."""
    return [worker for worker in endpoint.workers.values() if worker.state is not WorkerState.IDLE]


def status_of(worker: Worker) -> str:
    """What the API calls a worker's state."""
    match worker.state:
        case WorkerState.INITIALIZING | WorkerState.THROTTLED | WorkerState.UNHEALTHY:
            return worker.state.value.upper()
        case _ if worker.busy:
            return "RUNNING"
        case _:
            return "IDLE" if worker.serving else "INITIALIZING"


def view(worker: Worker, endpoint: Endpoint, now: float) -> dict[str, Any]:
    """A worker as the API tells it."""
    placed = worker.state in _PLACED
    started = worker.started_at
    return {
        "id": worker.id,
        "status": status_of(worker),
        "isStale": worker.version != endpoint.version,
        "version": worker.version,
        "gpuCount": worker.machine.gpu_count,
        "image": worker.config.image,
        "uptimeSeconds": None if started is None else max(0, int(now - started)),
        "gpuTypeId": (worker.machine.gpu_type_id or None) if placed else None,
        "dataCenterId": worker.data_center_id if placed else None,
        "startedAt": None if started is None else rfc3339(started),
    }
