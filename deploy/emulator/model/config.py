"""How an endpoint is configured, as REST v2 describes it, with every default filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

EndpointType = Literal["QUEUE", "LOAD_BALANCER"]
FlashBoot = Literal["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"]

INIT_TIMEOUT_SECONDS = 420.0
"""How long a cold start may take; ``RUNPOD_INIT_TIMEOUT`` raises it."""
MAX_CONCURRENCY = 30
"""Jobs that one vLLM worker takes at once; ``MAX_CONCURRENCY`` changes it."""
EXECUTION_TIMEOUT_MS = 600_000
"""How long a job may run where neither it nor its endpoint says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDelay:
    """Add a worker whenever a job has waited this long."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCount:
    """Have one worker for this many requests, queued or in progress."""

    requests: int


Scaling = QueueDelay | RequestCount


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuChoice:
    """Which GPUs a worker may have: all of these pools but the excluded types."""

    pools: tuple[str, ...]
    excluded_types: tuple[str, ...] = ()
    count: int = 1
    allowed_cuda_versions: tuple[str, ...] = ()
    min_cuda_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuChoice:
    """One kind of CPU worker."""

    id: str
    vcpu_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """One endpoint's configuration; the defaults are those of a create call that leaves the field out."""

    name: str
    type: EndpointType
    image: str
    scaling: Scaling
    gpu: GpuChoice | None = None
    cpu: tuple[CpuChoice, ...] = ()
    workers_min: int = 0
    workers_max: int = 3
    idle_timeout_seconds: int = 10
    timeout_ms: int = 0
    """Longest execution of one job; 0 (what a create call without it was seen to give) is the platform's default."""
    flashboot: FlashBoot = "OFF"
    env: Mapping[str, str] = field(default_factory=dict)
    args: str = ""
    disk_gb: int = 20
    ports: tuple[str, ...] = ()
    registry: str | None = None
    data_center_ids: tuple[str, ...] = ()
    network_volume_ids: tuple[str, ...] = ()

    @property
    def init_timeout_seconds(self) -> float:
        """How long a cold start may take before the worker counts as unhealthy."""
        return _number(self.env.get("RUNPOD_INIT_TIMEOUT"), INIT_TIMEOUT_SECONDS)

    @property
    def concurrency(self) -> int:
        """Jobs that one worker takes at once."""
        return max(1, int(_number(self.env.get("MAX_CONCURRENCY"), MAX_CONCURRENCY)))

    @property
    def execution_timeout_ms(self) -> int:
        """How long a job may run that has no policy of its own."""
        return self.timeout_ms or EXECUTION_TIMEOUT_MS

    @property
    def served_model(self) -> str:
        """The one name under which a vLLM worker serves its model; without ``MODEL_NAME`` vLLM's own default."""
        named = self.env.get("OPENAI_SERVED_MODEL_NAME_OVERRIDE") or self._flag("--served-model-name")
        return named or self.env.get("MODEL_NAME") or "Qwen/Qwen3-0.6B"

    @property
    def max_model_len(self) -> int:
        """The longest prompt plus answer in tokens."""
        return int(_number(self.env.get("MAX_MODEL_LEN") or self._flag("--max-model-len"), 32768))

    @property
    def chooses_tools(self) -> bool:
        """Whether its workers let a model choose tools: that needs a switch and a parser, both or neither."""
        switched = self.env.get("ENABLE_AUTO_TOOL_CHOICE", "").lower() == "true"
        switched = switched or "--enable-auto-tool-choice" in self.args.split()
        return switched and bool(self.env.get("TOOL_CALL_PARSER") or self._flag("--tool-call-parser"))

    @property
    def health_path(self) -> str:
        """Where a load balancer asks its workers for their health."""
        return self.env.get("HEALTH_CHECK_PATH") or "/ping"

    @property
    def routable(self) -> bool:
        """Whether a load balancer can reach its workers: ``PORT`` and ``PORT_HEALTH`` are the same, and exposed."""
        port = self.env.get("PORT", "")
        return bool(port) and self.env.get("PORT_HEALTH") == port and f"{port}/http" in self.ports

    def _flag(self, name: str) -> str:
        """The value of a flag of vLLM's own server, which is given arguments in place of an environment."""
        words = self.args.split()
        return words[words.index(name) + 1] if name in words[:-1] else ""

    def rolls_over(self, other: "EndpointConfig") -> bool:
        """Whether going from this configuration to ``other`` replaces the workers: they run something else then."""
        fields = ("image", "env", "args", "disk_gb", "ports", "registry", "gpu", "cpu", "network_volume_ids")
        return any(getattr(self, name) != getattr(other, name) for name in fields)


def _number(text: str | None, default: float) -> float:
    try:
        return float(text) if text else default
    except ValueError:
        return default
