"""Tier maps that deploy, for tests."""

from typing import Any

from tests.tiers.samples import FILE, WHOLE
from tiers.fleet import Deployment, Fleet, Scaling
from tiers.gpus import find
from tiers.load import load_fleet

ROUTING = "      - url: http://127.0.0.1:9100/v1\n        api_key: env:ROUTING_KEY\n"


def fleet_text(endpoint: str = "{deploy: {}}", fleet: str = "{}", *, tier: str = "") -> str:
    """The whole map with its first endpoint deployed; ``tier`` are further lines of its tier."""
    text = WHOLE.replace(ROUTING, f"      - {endpoint}\n{tier}").replace("store: embedded\n", f"fleet: {fleet}\n")
    assert text != WHOLE
    return text


def fleet_of(endpoint: str = "{deploy: {}}", fleet: str = "{}", *, tier: str = "") -> Fleet:
    """What it deploys."""
    return load_fleet(fleet_text(endpoint, fleet, tier=tier), file=FILE)[1]


def deployment(**fields: Any) -> Deployment:  # noqa: ANN401 - any of Deployment's fields
    """One deployed endpoint, changed by ``fields``."""
    gpu = find("RTX 4090")
    assert gpu is not None
    return Deployment(
        **{
            "key": "routing/0",
            "tier": "routing",
            "type": "QUEUE",
            "image": "runpod/worker-v1-vllm:v2.25.2",
            "model": "org/model-8B",
            "repository": "org/model-8B",
            "context": 16384,
            "slots": 30,
            "gpus": (gpu,),
            "weights_gib": 14.9,
            "scaling": Scaling(queue_delay=4.0),
            "timeout_seconds": 600.0,
            **fields,
        }
    )
