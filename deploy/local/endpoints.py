"""The endpoints of the local system as Runpod's REST v2 wants them; all of them start cold and go to sleep again.

For what each field means see Runpod's own description, or the emulator's; nothing here is known to be an emulator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VLLM_IMAGE = "runpod/worker-v1-vllm:v2.25.2"
FLOWS_IMAGE = "tiergate/flows:local"
IDLE_SECONDS = 60
"""How long a worker stays that has nothing to do."""
_FLOWS_PORT = "8000"
_QUEUE_DELAY_SECONDS = 1
_FLOW_MILLISECONDS_MAX = 330_000


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmEndpoint:
    """One endpoint with a queue whose workers serve a tier's model."""

    name: str
    """The endpoint's name in the tier map, like ``routing/0``."""
    model: str
    context: int
    pool: str
    gpu_count: int
    workers_max: int
    slots: int
    """Requests that one worker takes at once."""

    @property
    def body(self) -> dict[str, Any]:
        """The body of ``POST /v2/serverless``."""
        return {
            "name": self.name,
            "type": "QUEUE",
            "image": VLLM_IMAGE,
            "gpu": {"pools": [self.pool], "count": self.gpu_count},
            "workers": {"min": 0, "max": self.workers_max, "idleTimeout": IDLE_SECONDS},
            "scaling": {"type": "QUEUE_DELAY", "queueDelay": _QUEUE_DELAY_SECONDS},
            "flashboot": "FLASHBOOT",
            "env": {
                "MODEL_NAME": self.model,
                "OPENAI_SERVED_MODEL_NAME_OVERRIDE": self.model,
                "MAX_MODEL_LEN": str(self.context),
                "MAX_CONCURRENCY": str(self.slots),
            },
        }


def flows_body(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The body of ``POST /v2/serverless`` for the orchestrator's app: CPU workers behind a load balancer.

    ``PORT`` and ``PORT_HEALTH`` are the same and exposed: with anything else a worker runs and is never ready.
    """
    return {
        "name": name,
        "type": "LOAD_BALANCER",
        "image": FLOWS_IMAGE,
        "cpu": [{"id": "cpu3c", "vcpuCount": 4}],
        "workers": {"min": 0, "max": 1, "idleTimeout": IDLE_SECONDS},
        "scaling": {"type": "REQUEST_COUNT", "requestCount": 4},
        "timeout": _FLOW_MILLISECONDS_MAX,
        "flashboot": "FLASHBOOT",
        "ports": [f"{_FLOWS_PORT}/http"],
        "env": {"PORT": _FLOWS_PORT, "PORT_HEALTH": _FLOWS_PORT, "HEALTH_CHECK_PATH": "/ping", **environment},
    }
