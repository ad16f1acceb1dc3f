"""An endpoint's releases: what each changed, and how many workers have followed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.endpoints import scaling_view
from deploy.emulator.control_plane.moments import rfc3339
from deploy.emulator.control_plane.paging import page
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.control_plane.workers import listed
from deploy.emulator.model.config import QueueDelay, RequestCount
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.release import Change, Release

_FIELDS = {
    "image": "template.imageName",
    "env": "template.env",
    "args": "template.dockerArgs",
    "disk_gb": "template.containerDiskInGb",
    "ports": "template.ports",
    "registry": "template.containerRegistryAuthId",
    "workers_min": "workers.min",
    "workers_max": "workers.max",
    "idle_timeout_seconds": "workers.idleTimeout",
    "timeout_ms": "timeout",
    "data_center_ids": "locations",
    "network_volume_ids": "networkVolumes",
}
_GPU_FIELDS = {
    "pools": "gpu.pools",
    "excluded_types": "gpu.excludedTypes",
    "count": "gpuCount",
    "allowed_cuda_versions": "gpu.allowedCudaVersions",
    "min_cuda_version": "gpu.minCudaVersion",
}


@dataclass(frozen=True, slots=True)
class Releases:
    """The route ``/v2/serverless/{id}/releases``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """It."""
        return [resource("/v2/serverless/{id}/releases", get=self.list_all)]

    async def list_all(self, request: Request) -> Response:
        """The releases, newest first; the rollout is the endpoint's, whatever page is asked for."""
        endpoint = self.desk.endpoint(request)
        newest_first = endpoint.releases[::-1]
        found, pages = page(request.query_params, newest_first, lambda release: release.id, self.desk.edition)
        return JSONResponse(
            {
                "endpointVersion": endpoint.version,
                "rollout": rollout(endpoint),
                "releases": [view(release, endpoint) for release in found],
                **pages,
            }
        )


def rollout(endpoint: Endpoint) -> dict[str, Any]:
    """How many workers run the present version; 0 % where there are none."""
    workers = listed(endpoint)
    latest = sum(worker.version == endpoint.version for worker in workers)
    return {
        "inProgress": latest < len(workers),
        "workersOnLatest": latest,
        "workersTotal": len(workers),
        "percentOnLatest": round(100 * latest / len(workers)) if workers else 0,
    }


def view(release: Release, endpoint: Endpoint) -> dict[str, Any]:
    """A release as the API tells it."""
    return {
        "id": release.id,
        "version": release.version,
        "source": "MANUAL",
        "buildId": None,
        "createdByUserId": endpoint.account_id,
        "workerCount": sum(worker.version == release.version for worker in listed(endpoint)),
        "createdAt": rfc3339(release.created_at),
        "diff": [entry for change in release.changes for entry in _diff(change)],
    }


def _diff(change: Change) -> Iterator[dict[str, Any]]:
    if change.field == "gpu":
        for name, told in _GPU_FIELDS.items():
            if change.old[name] != change.new[name]:
                yield {"field": told, "old": change.old[name], "new": change.new[name]}
    elif change.field == "scaling":
        yield {"field": "scaling", "old": _scaling(change.old), "new": _scaling(change.new)}
    else:
        yield {"field": _FIELDS.get(change.field, change.field), "old": change.old, "new": change.new}


def _scaling(values: dict[str, Any]) -> dict[str, Any]:
    return scaling_view(QueueDelay(**values) if "seconds" in values else RequestCount(**values))
