"""What an account has and what a tier map wants, for tests of plans."""

from collections.abc import Mapping
from typing import Any

from deploy.fleet.answers import DeployedEndpoint
from deploy.fleet.change import World
from deploy.fleet.desired import Desired, desired
from deploy.fleet.difference import resolved
from deploy.fleet.prices import listed
from deploy.fleet.state import Deployed, FleetState
from tests.deploy.fleet.planes import endpoint
from tests.tiers.fleets import deployment
from tiers.fleet import App, Deployment, Fleet, Scaling
from tiers.gpus import find


def app(key: Any = "orchestrator", **fields: Any) -> App:  # noqa: ANN401 - any of App's
    """A program of our own behind a load balancer."""
    return App(**{"key": key, "type": "LOAD_BALANCER", "image": "a:1", "scaling": Scaling(requests=4), **fields})


def fleet(*deployments: Deployment, **fields: Any) -> Fleet:  # noqa: ANN401 - any of Fleet's
    """A fleet called acme, of one tier unless it says which."""
    return Fleet(**{"name": "acme", "quota": 50, "deployments": deployments or (deployment(),), **fields})


def wanted(one: Fleet) -> tuple[Desired, ...]:
    """What it wants, at the listed prices."""
    return desired(one, listed())


def gpu(name: str) -> Any:  # noqa: ANN401 - a GPU that is surely there
    """A GPU of the list."""
    return find(name)


def there(one: Desired, endpoint_id: str, names: Mapping[str, str] | None = None, **fields: Any) -> DeployedEndpoint:  # noqa: ANN401 - any of Runpod's
    """The endpoint as Runpod tells it when it was made as wanted; ``fields`` are otherwise."""
    base = f"https://{endpoint_id}.api.runpod.ai"
    urls = {"requestUrls": {"base": base}} if one.type == "LOAD_BALANCER" else {}
    body = resolved(one.body, names or {})
    if "gpu" in body:
        body["gpu"] = {**body["gpu"], "allowedCudaVersions": []}
    if "cpu" in body:
        body["cpu"] = [{**choice, "memory": 8} for choice in body["cpu"]]
    return DeployedEndpoint.model_validate({**endpoint(one.name, endpoint_id), **urls, **body, **fields})


def made(one: Fleet, **fields: Any) -> tuple[World, FleetState]:  # noqa: ANN401 - as above
    """The world and the state after all of it was made; ``fields`` of every endpoint are otherwise."""
    endpoints = {each.key: there(each, f"id-{each.key.replace('/', '-')}", **fields) for each in wanted(one)}
    state = FleetState(fleet=one.name)
    for key, each in endpoints.items():
        state = state.with_endpoint(key, Deployed(id=each.id, name=each.bare_name, type=each.type, url=each.url))
    return World(endpoints=tuple(endpoints.values()), secrets=()), state
