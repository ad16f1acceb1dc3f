"""Runpod's answers as values."""

from deploy.fleet.answers import DeployedEndpoint, Health
from tests.deploy.fleet.planes import endpoint


def test_an_endpoint_keeps_all_that_was_told_of_it() -> None:
    one = DeployedEndpoint.model_validate(endpoint(timeout=5, unheard={"of": 1}))
    assert (one.fields["timeout"], one.fields["unheard"]) == (5, {"of": 1})
    assert (one.url, one.workers_max) == ("https://api.runpod.ai/v2/e1", 3)


def test_a_balanced_endpoint_has_its_base() -> None:
    """Its health is told where that of all is, and not under its own address, which would reach a worker."""
    urls = {"base": "https://e2.api.runpod.ai", "health": "https://e2.api.runpod.ai/ping"}
    one = DeployedEndpoint.model_validate(endpoint(endpoint_id="e2", type="LOAD_BALANCER", requestUrls=urls))
    assert (one.url, one.health_url) == ("https://e2.api.runpod.ai", "https://api.runpod.ai/v2/e2/health")


def test_an_endpoint_without_addresses_still_has_its_health() -> None:
    one = DeployedEndpoint.model_validate(endpoint(requestUrls={}, workers=None))
    assert (one.url, one.health_url, one.workers_max) == ("", "https://api.runpod.ai/v2/e1/health", 0)


def test_what_runpod_adds_to_names_is_not_the_name() -> None:
    assert DeployedEndpoint.model_validate(endpoint(name="fleet-a -fb")).bare_name == "fleet-a"


def test_counts_that_are_not_told_are_none() -> None:
    health = Health.model_validate({"workers": {"idle": 1}})
    assert (health.workers.idle, health.workers.unhealthy, health.jobs.in_progress) == (1, 0, 0)
