"""Serverless endpoints: list, create, read, change, delete."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.bodies import EndpointBody, EndpointPatchBody
from deploy.emulator.control_plane.configuring import Surroundings, created, idle_timeout_applies, patched
from deploy.emulator.control_plane.desk import Addresses, Desk
from deploy.emulator.control_plane.moments import rfc3339
from deploy.emulator.control_plane.paging import page
from deploy.emulator.control_plane.problems import bad_request
from deploy.emulator.control_plane.public_templates import readable
from deploy.emulator.control_plane.reading import read_body
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.model.account import Account
from deploy.emulator.model.catalogue import CPU_FLAVORS
from deploy.emulator.model.config import EndpointConfig, EndpointType, GpuChoice, QueueDelay, Scaling
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.errors import QuotaExceeded
from deploy.emulator.model.names import new_id
from deploy.emulator.model.resources import Template

_QUEUE_OPERATIONS = {
    "run": "/run",
    "runSync": "/runsync",
    "status": "/status/{job_id}",
    "stream": "/stream/{job_id}",
    "cancel": "/cancel/{job_id}",
    "retry": "/retry/{job_id}",
    "purgeQueue": "/purge-queue",
    "health": "/health",
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The routes under ``/v2/serverless``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            resource("/v2/serverless", get=self.list_all, post=self.create),
            resource("/v2/serverless/{id}", get=self.read, patch=self.update, delete=self.delete),
        ]

    async def list_all(self, request: Request) -> Response:
        """The account's endpoints: by pages, newest first; in August all at once, oldest first."""
        owned = self.desk.world.owned(self.desk.account(request).id)
        if self.desk.edition != "2026-08":
            owned.reverse()
        found, pages = page(request.query_params, owned, lambda endpoint: endpoint.id, self.desk.edition)
        return JSONResponse({"endpoints": [view(endpoint, self.desk.addresses) for endpoint in found], **pages})

    async def create(self, request: Request) -> Response:
        """Make an endpoint, and the template that goes with it."""
        body = await read_body(request, EndpointBody)
        account = self.desk.account(request)
        config = created(body, self._around(account))
        now = self.desk.clock.now()
        try:
            endpoint = self.desk.world.create_endpoint(account.id, config, now)
        except QuotaExceeded as error:
            raise bad_request(str(error)) from error
        self._bind_template(account, endpoint)
        return JSONResponse(view(endpoint, self.desk.addresses), status_code=201)

    async def read(self, request: Request) -> Response:
        """One endpoint."""
        return JSONResponse(view(self.desk.endpoint(request), self.desk.addresses))

    async def update(self, request: Request) -> Response:
        """Change what was sent. The answer shows the new configuration, whatever workers still run."""
        endpoint = self.desk.endpoint(request)
        body = await read_body(request, EndpointPatchBody)
        config = patched(endpoint.config, body, self._around(self.desk.account(request)))
        try:
            self.desk.world.update_endpoint(endpoint.id, config, self.desk.clock.now())
        except QuotaExceeded as error:
            raise bad_request(str(error)) from error
        return JSONResponse(view(endpoint, self.desk.addresses))

    async def delete(self, request: Request) -> Response:
        """End it with its workers, its jobs and its template; its bill stays."""
        endpoint = self.desk.endpoint(request)
        self.desk.world.delete_endpoint(endpoint.id, self.desk.clock.now())
        self.desk.archive.endpoint_deleted(endpoint.id, endpoint.account_id)
        return Response(status_code=204)

    def _around(self, account: Account) -> Surroundings:
        resources = account.resources
        return Surroundings(
            templates=readable(resources),
            registries=resources.registries,
            volumes=resources.volumes,
            stock=self.desk.rehearsal.stock,
            missing_images=self.desk.rehearsal.missing_images,
        )

    def _bind_template(self, account: Account, endpoint: Endpoint) -> None:
        config = endpoint.config
        template_id = new_id(self.desk.world.random)
        account.resources.templates[template_id] = Template(
            id=template_id,
            name=f"{config.name}__template__{endpoint.id}",
            image=config.image,
            serverless=True,
            args=config.args,
            disk_gb=config.disk_gb,
            ports=config.ports,
            env=config.env,
            registry=config.registry,
            category="NVIDIA" if config.gpu else "CPU",
            endpoint_id=endpoint.id,
        )


def view(endpoint: Endpoint, addresses: Addresses) -> dict[str, Any]:
    """An endpoint as the API tells it."""
    config = endpoint.config
    return {
        "id": endpoint.id,
        "name": config.name,
        "type": config.type,
        "requestUrls": request_urls(endpoint, addresses),
        "image": config.image,
        "args": config.args,
        "disk": config.disk_gb,
        "ports": list(config.ports),
        "env": dict(config.env),
        "registry": config.registry,
        **_compute(config),
        "workers": _workers(config),
        "scaling": scaling_view(config.scaling),
        "dataCenterIds": list(config.data_center_ids),
        "networkVolumes": list(config.network_volume_ids),
        "timeout": config.timeout_ms,
        "flashboot": config.flashboot,
        "createdAt": rfc3339(endpoint.created_at),
    }


def request_urls(endpoint: Endpoint, addresses: Addresses) -> Mapping[str, str]:
    """Where callers find an endpoint."""
    kind: EndpointType = endpoint.config.type
    if kind == "QUEUE":
        base = addresses.queue.replace("{id}", endpoint.id)
        return {name: base + path for name, path in _QUEUE_OPERATIONS.items()}
    base = addresses.load_balancer.replace("{id}", endpoint.id)
    return {"base": base, "health": base + endpoint.config.health_path}


def scaling_view(scaling: Scaling) -> dict[str, Any]:
    """A scaler as the API tells it."""
    if isinstance(scaling, QueueDelay):
        return {"type": "QUEUE_DELAY", "queueDelay": scaling.seconds}
    return {"type": "REQUEST_COUNT", "requestCount": scaling.requests}


def gpu_view(gpu: GpuChoice) -> dict[str, Any]:
    """A choice of GPUs as the API tells it."""
    excluded = {"excludedTypes": list(gpu.excluded_types)} if gpu.excluded_types else {}
    return {
        "pools": list(gpu.pools),
        **excluded,
        "count": gpu.count,
        "allowedCudaVersions": list(gpu.allowed_cuda_versions),
        "minCudaVersion": gpu.min_cuda_version,
    }


def _compute(config: EndpointConfig) -> dict[str, Any]:
    if config.gpu:
        return {"gpu": gpu_view(config.gpu)}
    return {
        "cpu": [
            {
                "id": choice.id,
                "vcpuCount": choice.vcpu_count,
                "memory": choice.vcpu_count * CPU_FLAVORS[choice.id].ram_gb_per_vcpu,
            }
            for choice in config.cpu
        ]
    }


def _workers(config: EndpointConfig) -> dict[str, int]:
    bounds = {"min": config.workers_min, "max": config.workers_max}
    if idle_timeout_applies(config.type, config.scaling):
        bounds["idleTimeout"] = config.idle_timeout_seconds
    return bounds
