"""The endpoint of the local system's Flow as Runpod's REST v2 wants it; it starts cold and goes to sleep again.

For what each field means see Runpod's own description, or the emulator's; nothing here is known to be an emulator.
"""

from collections.abc import Mapping
from typing import Any

FLOWS_IMAGE = "tiergate/flows:local"
IDLE_SECONDS = 60
"""How long a worker stays that has nothing to do."""
_FLOWS_PORT = "8000"
QUEUE_DELAY_SECONDS = 1.0
_FLOW_MILLISECONDS_MAX = 330_000


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
