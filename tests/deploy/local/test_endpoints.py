"""The create bodies, as the emulator takes them."""

from typing import Any

from deploy.emulator.control_plane.bodies import EndpointBody
from deploy.local.endpoints import VllmEndpoint, flows_body

VLLM = VllmEndpoint(name="routing/0", model="org/m", context=4096, pool="ADA_24", gpu_count=1, workers_max=2, slots=3)


def test_a_tiers_endpoint_starts_cold_and_serves_the_tiers_model() -> None:
    body: dict[str, Any] = VLLM.body
    EndpointBody.model_validate(body)
    assert (body["type"], body["gpu"]["pools"], body["workers"]["min"], body["workers"]["max"]) == (
        "QUEUE",
        ["ADA_24"],
        0,
        2,
    )
    assert body["env"] == {
        "MODEL_NAME": "org/m",
        "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "org/m",
        "MAX_MODEL_LEN": "4096",
        "MAX_CONCURRENCY": "3",
    }


def test_the_flows_endpoint_can_be_reached_and_has_what_its_agents_need() -> None:
    """Without a port that is named three times a worker runs and is never ready."""
    body = flows_body("flows", {"TIERGATE_KEY": "k"})
    EndpointBody.model_validate(body)
    assert (body["type"], body["workers"]["min"], body["ports"]) == ("LOAD_BALANCER", 0, ["8000/http"])
    assert (body["env"]["PORT"], body["env"]["PORT_HEALTH"], body["env"]["TIERGATE_KEY"]) == ("8000", "8000", "k")
