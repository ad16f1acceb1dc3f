"""Runpod's answers in the form that the fleet reads; what it does not read is passed over."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tiers.runpod_urls import health_base

EndpointType = Literal["QUEUE", "LOAD_BALANCER"]
_ADDED = " -fb"
"""What Runpod was seen to add to the names of endpoints with FlashBoot."""


class Answer(BaseModel):
    """A JSON object of Runpod's: camelCase outside, fields that we do not know left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


class DeployedEndpoint(Answer):
    """A serverless endpoint as it is there."""

    model_config = ConfigDict(frozen=True, extra="allow", alias_generator=to_camel)

    id: str
    name: str
    type: EndpointType
    request_urls: Mapping[str, str] = {}

    @property
    def bare_name(self) -> str:
        """Its name as it was asked for."""
        return self.name.removesuffix(_ADDED)

    @property
    def fields(self) -> Mapping[str, Any]:
        """Everything that was answered of it, by Runpod's names."""
        return {"id": self.id, "name": self.bare_name, "type": self.type, **(self.model_extra or {})}

    @property
    def url(self) -> str:
        """Its base URL for requests: of one with a queue ``…/v2/<id>``, of a balanced one where its paths begin."""
        return self.request_urls.get("base") or self.request_urls.get("run", "").removesuffix("/run")

    @property
    def health_url(self) -> str:
        """Where its health is told without waking a worker; for either type."""
        return f"{health_base(self.url) or f'https://api.runpod.ai/v2/{self.id}'}/health"

    @property
    def workers_max(self) -> int:
        """How many workers it may have, which count against the account's quota whether they run or not."""
        return int((self.fields.get("workers") or {}).get("max") or 0)


class Worker(Answer):
    """One worker that is not scaled down; ``status`` is RUNNING, IDLE, INITIALIZING, THROTTLED or UNHEALTHY."""

    id: str
    status: str
    is_stale: bool = False
    version: int | None = None
    image: str | None = None
    uptime_seconds: float | None = None
    gpu_type_id: str | None = None
    data_center_id: str | None = None


class WorkerSummary(Answer):
    """How many workers are in which state."""

    running: int = 0
    idle: int = 0
    initializing: int = 0
    throttled: int = 0
    unhealthy: int = 0
    total: int = 0


class Workers(Answer):
    """An endpoint's workers."""

    workers: tuple[Worker, ...] = ()
    summary: WorkerSummary = WorkerSummary()
    endpoint_version: int | None = None


class HealthJobs(Answer):
    """An endpoint's jobs by state; ``completed`` and ``failed`` since it was made."""

    completed: int = 0
    failed: int = 0
    in_progress: int = 0
    in_queue: int = 0
    retried: int = 0


class HealthWorkers(Answer):
    """An endpoint's workers as its data plane counts them."""

    idle: int = 0
    initializing: int = 0
    ready: int = 0
    running: int = 0
    throttled: int = 0
    unhealthy: int = 0


class Health(Answer):
    """What ``GET /v2/{id}/health`` tells; no worker is woken for it."""

    jobs: HealthJobs = HealthJobs()
    workers: HealthWorkers = HealthWorkers()


class Rollout(Answer):
    """How far workers have followed an endpoint's newest version."""

    in_progress: bool = False
    workers_on_latest: int = 0
    workers_total: int = 0
    percent_on_latest: float = 0


class Release(Answer):
    """One version of an endpoint, with what it changed."""

    id: str
    version: int
    created_at: str = ""
    diff: tuple[Mapping[str, Any], ...] = ()


class Releases(Answer):
    """An endpoint's versions, newest first."""

    endpoint_version: int = 0
    rollout: Rollout = Rollout()
    releases: tuple[Release, ...] = ()


class BillRecord(Answer):
    """What one endpoint cost in one bucket of time, in US dollars."""

    start_time: str
    end_time: str
    serverless_id: str = ""
    total_amount: float = 0
    gpu_amount: float = 0
    cpu_amount: float = 0
    disk_amount: float = 0


class Registry(Answer):
    """A login for a registry of images; its credentials are never told."""

    id: str
    name: str


class Volume(Answer):
    """A network volume."""

    id: str
    name: str
    size: int
    data_center: str


class Secret(Answer):
    """A secret of the account's; its value is never told."""

    id: str
    name: str


class GpuPrice(Answer):
    """US dollars per hour of one GPU."""

    serverless: float | None = None


class GpuType(Answer):
    """A kind of GPU in the catalogue."""

    id: str
    pool: str | None = None
    price: GpuPrice = GpuPrice()
    availability: str | None = None


class CpuPrice(Answer):
    """US dollars per hour of one vCPU."""

    serverless_per_vcpu: float | None = Field(default=None, alias="serverlessPerVcpu")


class CpuType(Answer):
    """A kind of CPU in the catalogue."""

    id: str
    price: CpuPrice = CpuPrice()
