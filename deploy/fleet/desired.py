"""The fleet of a tier map as endpoints of Runpod's: what the body of each create call holds.

Fields whose defaults hurt are always there: ``timeout`` (0 when left out), ``flashboot`` (off), ``scaling``, ``type``,
``minCudaVersion`` (any host), ``idleTimeout`` where it is accepted. A login and a volume stand in a body by their
names, as ``registry:NAME`` and ``volume:NAME``: they may have to be made first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.fleet.answers import EndpointType
from deploy.fleet.prices import DAY_HOURS, Prices
from tiers.fleet import PORT, App, Deployment, Fleet, Scaling
from tiers.vllm_environment import arguments, disk_gb, environment

REGISTRY = "registry:"
VOLUME = "volume:"
_FLASHBOOT = {"standard": "FLASHBOOT", "priority": "PRIORITY_FLASHBOOT", "none": "OFF"}
_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """One endpoint that is to be there."""

    key: str
    """What it is: ``TIER/INDEX``, ``orchestrator``, ``batch`` or ``gateway``."""
    name: str
    type: EndpointType
    body: Mapping[str, Any]
    """Of ``POST /v2/serverless``, with names in place of ids of logins and volumes."""
    worker_hour: int
    """What one worker costs in an hour, in microdollars."""

    @property
    def workers_max(self) -> int:
        """Workers at most."""
        return int(self.body["workers"]["max"])

    @property
    def hour_max(self) -> int:
        """What all its workers cost in an hour, in microdollars."""
        return self.worker_hour * self.workers_max

    @property
    def idle_day(self) -> int:
        """What it costs in a day on which nobody asks anything, in microdollars."""
        return self.worker_hour * DAY_HOURS * int(self.body["workers"]["min"])


def desired(fleet: Fleet, prices: Prices) -> tuple[Desired, ...]:
    """Every endpoint of the fleet, sorted by its key."""
    found = [
        *(_deployed(one, fleet, prices) for one in fleet.deployments),
        *(_hosted(one, fleet, prices) for one in fleet.apps),
    ]
    return tuple(sorted(found, key=lambda one: one.key))


def name_of(fleet: Fleet, key: str) -> str:
    """An endpoint's name at Runpod: the fleet's, and what it is."""
    return f"{fleet.name}-{key.replace('/', '-')}"


def url_of(key: str, kind: EndpointType, base: str) -> str:
    """Under which address the endpoint is called; a tier's behind a load balancer speaks OpenAI's API under ``/v1``."""
    return f"{base}/v1" if kind == "LOAD_BALANCER" and "/" in key else base


def served_name(body: Mapping[str, Any]) -> str:
    """The name under which an endpoint with such a body serves its model; empty where it serves none."""
    return str((body.get("env") or {}).get("OPENAI_SERVED_MODEL_NAME_OVERRIDE", ""))


def _deployed(one: Deployment, fleet: Fleet, prices: Prices) -> Desired:
    pools = list(dict.fromkeys(gpu.pool for gpu in one.gpus))
    body = {
        "gpu": {"pools": pools, "count": one.gpu_count, "minCudaVersion": one.cuda_min},
        "args": arguments(one),
        "disk": disk_gb(one),
        "env": environment(one),
        "ports": [f"{PORT}/http"] if one.type == "LOAD_BALANCER" else [],
        "dataCenterIds": [fleet.volume.data_center] if fleet.volume is not None else list(one.data_centers),
        "networkVolumes": [f"{VOLUME}{fleet.volume.name}"] if fleet.volume is not None else [],
    }
    return _desired(one, fleet, body, prices.gpus(pools, one.gpu_count))


def _hosted(one: App, fleet: Fleet, prices: Prices) -> Desired:
    body = {
        "cpu": [{"id": one.cpu, "vcpuCount": one.vcpus}],
        "args": "",
        "disk": one.disk_gb,
        "env": dict(sorted({**one.env, **_app_environment(one)}.items())),
        "ports": [f"{one.port}/http"] if one.type == "LOAD_BALANCER" else [],
        "dataCenterIds": list(one.data_centers),
        "networkVolumes": [],
    }
    return _desired(one, fleet, body, prices.vcpus(one.cpu, one.vcpus))


def _app_environment(one: App) -> dict[str, str]:
    """Where it listens. With anything but the same exposed port for both, a worker runs and is never ready."""
    if one.type != "LOAD_BALANCER":
        return {}
    port = str(one.port)
    made = {"PORT": port, "PORT_HEALTH": port, "HEALTH_CHECK_PATH": one.health_path}
    return {**made, "TIERGATE_HOST": "0.0.0.0", "TIERGATE_PORT": port} if one.key == "gateway" else made  # noqa: S104 - the balancer calls it


def _desired(one: Deployment | App, fleet: Fleet, body: Mapping[str, Any], worker_hour: int) -> Desired:
    name = name_of(fleet, one.key)
    workers = {"min": one.workers_min, "max": one.workers_max}
    if one.type == "LOAD_BALANCER" or one.scaling.queue_delay is not None:
        workers["idleTimeout"] = one.idle_seconds
    whole = {
        "name": name,
        "type": one.type,
        "image": one.image,
        "workers": workers,
        "scaling": _scaling(one.scaling),
        "timeout": round(one.timeout_seconds * _MILLISECONDS),
        "flashboot": _FLASHBOOT[one.flashboot],
        "registry": None if fleet.registry is None else f"{REGISTRY}{fleet.registry.name}",
        **body,
    }
    return Desired(key=one.key, name=name, type=one.type, body=whole, worker_hour=worker_hour)


def _scaling(scaling: Scaling) -> dict[str, Any]:
    if scaling.queue_delay is not None:
        return {"type": "QUEUE_DELAY", "queueDelay": scaling.queue_delay}
    return {"type": "REQUEST_COUNT", "requestCount": scaling.requests}
