"""Why a plan cannot be applied: what Runpod would refuse half way, found before anything is made."""

from collections.abc import Iterator, Sequence

from deploy.fleet.change import Obstacle, World
from deploy.fleet.desired import Desired
from deploy.fleet.state import FleetState
from tiers.fleet import Fleet
from tiers.worker_names import secrets_named


def obstacles(
    fleet: Fleet, wanted: Sequence[Desired], world: World, state: FleetState, workers: int
) -> Iterator[Obstacle]:
    """Every one. ``workers`` is how many the account's endpoints may have together while the plan is applied."""
    yield from _foreign(wanted, world, state)
    total = sum(one.workers_max for one in world.endpoints)
    if wanted and total < workers and fleet.quota < workers:
        yield Obstacle(
            message=f"the account's endpoints may have {workers} workers together then, and its quota is {fleet.quota}",
            remedy="lower `workers.max`; or, if the console shows a larger quota, say so in `fleet.quota`",
        )
    logins = {one.name for one in world.registries}
    if fleet.registry is not None and fleet.registry.username is None and fleet.registry.name not in logins:
        yield Obstacle(
            message=f"the account has no registry login called {fleet.registry.name}",
            remedy="add `username: env:NAME` and `password: env:NAME` to `fleet.registry`, and it is made",
        )
    if world.secrets is not None:
        yield from _secrets({*(one.name for one in world.secrets), *fleet.secrets}, wanted)


def _foreign(wanted: Sequence[Desired], world: World, state: FleetState) -> Iterator[Obstacle]:
    for one in wanted:
        for found in world.endpoints:
            if found.bare_name == one.name and found.id not in state.ids:
                yield Obstacle(
                    message=f"{one.key}: {one.name} is there already ({found.id}), and this fleet did not make it",
                    remedy=f"take it over with `tiergate-deploy adopt {one.key} {found.id}`, or rename one of them",
                )


def _secrets(known: set[str], wanted: Sequence[Desired]) -> Iterator[Obstacle]:
    for one in wanted:
        for name in sorted({*secrets_named(one.body["env"])} - known):
            yield Obstacle(
                message=f"{one.key}: its environment names the secret {name}, which the account does not have",
                remedy=f"add `{name}: env:VARIABLE` to `fleet.secrets`, and it is made",
            )
