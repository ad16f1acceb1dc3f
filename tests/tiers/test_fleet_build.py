"""The form → what is to be deployed."""

import pytest

from tests.tiers.fleets import fleet_of, fleet_text
from tests.tiers.samples import FILE, WHOLE
from tiers.document import TierMapDocument
from tiers.fleet import Fleet, RegistryLogin, Scaling, Volume
from tiers.fleet_build import fleet_of as built
from tiers.load import load, load_fleet
from tiers.tiermap import SecretReference


def test_a_map_without_deployments_has_none() -> None:
    assert load_fleet(WHOLE, file=FILE)[1] == Fleet()


def test_an_endpoint_has_its_tiers_fields_and_the_defaults() -> None:
    [one] = fleet_of().deployments
    assert (one.key, one.tier, one.type, one.model, one.context) == (
        *("routing/0", "routing", "QUEUE", "meta-llama/Llama-3.1-8B-Instruct"),
        16384,
    )
    assert one.repository == one.model
    assert one.image == "runpod/worker-v1-vllm:v2.25.2"
    assert [gpu.name for gpu in one.gpus] == ["RTX 4090"]
    assert one.scaling == Scaling(queue_delay=4.0)
    assert (one.workers_min, one.workers_max, one.slots, one.idle_seconds) == (0, 3, 30, 10)
    assert (one.timeout_seconds, one.start_seconds) == (600.0, 1200)
    assert one.weights_gib is not None
    assert 14 < one.weights_gib < 16


def test_what_is_written_goes_before_the_defaults() -> None:
    [one] = fleet_of(
        "{deploy: {repository: org/a, gpus: [L4], data_centers: [], requests: 8, timeout: 1h, env: {A: own, B: b}},"
        " workers: {max: 5, slots: 16}}",
        "{data_centers: [EU-RO-1], env: {A: fleet, C: c}, worker: other/worker:2}",
    ).deployments
    assert (one.repository, one.image, one.timeout_seconds) == ("org/a", "other/worker:2", 3600)
    assert [gpu.name for gpu in one.gpus] == ["RTX 4090", "L4"]
    assert (one.data_centers, one.scaling) == ((), Scaling(requests=8))
    assert one.env == {"A": "own", "B": "b", "C": "c"}


def test_behind_a_load_balancer_requests_are_counted_and_the_edge_bounds_them() -> None:
    [one] = fleet_of("{deploy: {}, transport: runpod-load-balancer}", "{data_centers: [EU-RO-1]}").deployments
    assert (one.type, one.scaling, one.timeout_seconds) == ("LOAD_BALANCER", Scaling(requests=30), 330)
    assert (one.image, one.data_centers) == ("vllm/vllm-openai:v0.27.1", ("EU-RO-1",))


def test_programs_of_our_own_are_deployed_beside_the_tiers() -> None:
    fleet = fleet_of(
        "{deploy: {}}",
        "{name: acme, quota: 9, secrets: {hf: env:HF}, registry: {name: hub, username: env:U, password: env:P},"
        " volume: {name: v, size: 50, data_center: EU},"
        " orchestrator: {image: a:1}, batch: {image: a:1, data_centers: [US]}, gateway: {image: g:1, env: {A: b}}}",
    )
    assert (fleet.name, fleet.quota) == ("acme", 9)
    assert fleet.secrets == {"hf": SecretReference("env", "HF")}
    assert fleet.volume == Volume(name="v", size_gb=50, data_center="EU")
    assert fleet.registry == RegistryLogin(
        name="hub", username=SecretReference("env", "U"), password=SecretReference("env", "P")
    )
    orchestrator, batch, gateway = fleet.apps
    assert (orchestrator.key, orchestrator.type, orchestrator.health_path) == (
        *("orchestrator", "LOAD_BALANCER"),
        "/ping",
    )
    assert (batch.key, batch.type, batch.timeout_seconds, batch.data_centers) == ("batch", "QUEUE", 3600, ("US",))
    assert (gateway.key, gateway.health_path, gateway.env) == ("gateway", "/healthz", {"A": "b"})


def test_a_deployed_endpoint_has_the_address_that_goes_with_the_text() -> None:
    """And the name that it serves. Without one its URL is empty; the key is Runpod's unless it says otherwise."""
    text = fleet_text()
    [endpoint] = load(text, file=FILE).tiers["routing"].endpoints
    assert (endpoint.url, endpoint.transport) == ("", "runpod-queue")
    assert endpoint.api_key == SecretReference("env", "RUNPOD_API_KEY")
    text += '\n# deployed by tiergate-deploy: {"routing/0": ["https://api.runpod.ai/v2/abc", "small"]}\n'
    [endpoint] = load(text, file=FILE).tiers["routing"].endpoints
    assert (endpoint.url, endpoint.model) == ("https://api.runpod.ai/v2/abc", "small")
    balanced = text.replace("{deploy: {}}", "{deploy: {}, transport: runpod-load-balancer}")
    [endpoint] = load(balanced, file=FILE).tiers["routing"].endpoints
    assert endpoint.transport == "runpod-queue", "what is there is what counts, until it is replaced"
    text = fleet_text("{deploy: {}, transport: runpod-load-balancer, api_key: env:OTHER}")
    [other] = load(text, file=FILE).tiers["routing"].endpoints
    assert (other.transport, other.api_key) == ("runpod-load-balancer", SecretReference("env", "OTHER"))


def test_a_document_that_was_not_checked_is_told() -> None:
    endpoint: dict[str, dict[str, str]] = {"deploy": {}}
    tier = {"model": "a", "endpoints": [endpoint], "context": 1, "slots": 1}
    key = {"name": "a", "key": "env:A"}
    document = TierMapDocument.model_validate({"version": 1, "tiers": {"a": tier}, "keys": [key]})
    with pytest.raises(ValueError, match="deployed on nothing"):
        built(document)
