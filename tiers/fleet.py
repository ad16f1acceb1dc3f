"""What is to be deployed for a tier map: every endpoint with all that decides what stands behind it, as frozen values.

``tiers.fleet_document`` is the form that operators write, ``tiers.vllm_environment`` makes a worker's environment of a
``Deployment``. Durations are seconds, sizes GB as Runpod counts them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from tiers.gpus import Gpu
from tiers.tiermap import SecretReference

EndpointType = Literal["QUEUE", "LOAD_BALANCER"]
FlashBoot = Literal["standard", "priority", "none"]
NAME: str = "tiergate"
WORKER_IMAGE: str = "runpod/worker-v1-vllm:v2.25.2"
"""The release of worker-vllm whose variables ``tiers.worker_names`` knows; it has vLLM 0.27.1."""
BALANCED_IMAGE: str = "vllm/vllm-openai:v0.27.1"
"""vLLM's own server, for workers behind a load balancer: it answers OpenAI's API without a job around it."""
CUDA_MIN: str = "13.0"
"""What both images need of a host's driver."""
QUOTA: int = 5
"""Workers that a new account may have over all its endpoints."""
PORT: int = 8000
EDGE_SECONDS_MAX: float = 330.0
"""A load balancer of Runpod's cuts a request after so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """When Runpod adds a worker: exactly one of the two is set."""

    queue_delay: float | None = None
    """A job has waited for so long."""
    requests: int | None = None
    """There are more requests than so many for each worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One endpoint of a tier whose workers are vLLM's."""

    key: str
    """The endpoint's name in the tier map: ``routing/0``."""
    tier: str
    type: EndpointType
    image: str
    model: str
    """The name under which it serves: the tier's ``model``."""
    repository: str
    """Where the weights come from: a repository on Hugging Face, or a path."""
    revision: str | None = None
    context: int
    slots: int
    """Requests that one worker takes at once."""
    gpus: tuple[Gpu, ...]
    """The tier's own first, then those that may stand in for it."""
    gpu_count: int = 1
    weights_gib: float | None = None
    """What the model's weights take; ``None`` where its size is not known."""
    workers_min: int = 0
    workers_max: int = 3
    idle_seconds: int = 10
    scaling: Scaling
    timeout_seconds: float
    flashboot: FlashBoot = "standard"
    cuda_min: str = CUDA_MIN
    disk_gb: int | None = None
    """``None`` is as large as the weights need."""
    start_seconds: int = 1200
    """How long a worker may take to start."""
    data_centers: tuple[str, ...] = ()
    dtype: str | None = None
    memory_percent: int = 90
    quantization: str | None = None
    force_quantization: bool = False
    kv_cache: str | None = None
    prefix_caching: bool = True
    tool_parser: str | None = None
    reasoning_parser: str | None = None
    sequences: int | None = None
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Further variables, the fleet's among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One endpoint on CPUs that runs a program of our own: the orchestrator, its queue handler, or the gateway."""

    key: Literal["orchestrator", "batch", "gateway"]
    type: EndpointType
    image: str
    cpu: str = "cpu3c"
    vcpus: int = 4
    disk_gb: int = 20
    workers_min: int = 0
    workers_max: int = 2
    idle_seconds: int = 60
    scaling: Scaling
    timeout_seconds: float = EDGE_SECONDS_MAX
    flashboot: FlashBoot = "standard"
    port: int = PORT
    health_path: str = "/ping"
    data_centers: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLogin:
    """A login for the registry of images, which Runpod keeps under a name; made where there is none yet."""

    name: str
    username: SecretReference | None = None
    password: SecretReference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A network volume for all vLLM workers: what one of them downloads, the others need not."""

    name: str
    size_gb: int
    data_center: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything that is to be deployed."""

    name: str = NAME
    """What the names of all its endpoints begin with."""
    quota: int = QUOTA
    """Workers that the account may have over all its endpoints."""
    registry: RegistryLogin | None = None
    volume: Volume | None = None
    secrets: Mapping[str, SecretReference] = field(default_factory=lambda: MappingProxyType({}))
    """Secrets that Runpod is to keep, by name, and where their values are read."""
    deployments: tuple[Deployment, ...] = ()
    apps: tuple[App, ...] = ()
