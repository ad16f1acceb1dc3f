"""The create body of the Flow's endpoint, as the emulator takes it."""

from deploy.emulator.control_plane.bodies import EndpointBody
from deploy.local.endpoints import flows_body


def test_the_flows_endpoint_can_be_reached_and_has_what_its_agents_need() -> None:
    """Without a port that is named three times a worker runs and is never ready."""
    body = flows_body("flows", {"TIERGATE_KEY": "k"})
    EndpointBody.model_validate(body)
    assert (body["type"], body["workers"]["min"], body["ports"]) == ("LOAD_BALANCER", 0, ["8000/http"])
    assert (body["env"]["PORT"], body["env"]["PORT_HEALTH"], body["env"]["TIERGATE_KEY"]) == ("8000", "8000", "k")
