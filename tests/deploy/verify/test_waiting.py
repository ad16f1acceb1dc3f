"""How long a worker is waited for."""

from typing import Any

import pytest

from deploy.fleet.answers import DeployedEndpoint
from deploy.verify.finding import CheckFailed
from deploy.verify.waiting import Patience, Watch
from tests.deploy.fleet.planes import Plane, endpoint
from tests.deploy.verify.clockworks import Clockworks

ENDPOINT = DeployedEndpoint.model_validate(endpoint())
PATIENCE = Patience(worker=60, hopeless=20, look=10)


def health(**workers: int) -> tuple[int, Any]:
    return 200, {"jobs": {"inQueue": 1}, "workers": workers}


async def looked(*answers: tuple[int, Any]) -> tuple[CheckFailed, Clockworks]:
    """How the wait ends, look by look."""
    works = Clockworks()
    plane = Plane(*answers, (200, {"workers": []}))
    watch = Watch(plane.plane, ENDPOINT, "a/0", PATIENCE, works.clockwork)
    with pytest.raises(CheckFailed) as caught:
        await _for_ever(watch)
    return caught.value, works


async def _for_ever(watch: Watch) -> None:
    while True:
        await watch.look()


async def test_a_start_is_waited_for_and_said_when_it_changes() -> None:
    failed, works = await looked(*[health(initializing=1)] * 3, *[health(running=1)] * 4)
    assert (failed.cause, works.now) == ("slow_start", 160)
    assert len(works.said) == 4
    assert works.said[0] == "a/0: waiting for a worker, 0 s: workers: 1 initializing; jobs: 1 in queue"


async def test_what_is_hopeless_is_given_up_sooner() -> None:
    failed, works = await looked(*[health(throttled=1)] * 3)
    assert (failed.cause, works.now) == ("no_capacity", 120)
    assert failed.evidence[0] == "workers: 1 throttled; jobs: 1 in queue, after 20 s"


async def test_hope_begins_anew_when_something_changes() -> None:
    failed, works = await looked(
        health(throttled=1), health(throttled=1), health(initializing=1), *[health(unhealthy=1)] * 3
    )
    assert (failed.cause, works.now) == ("crash_loop", 150)


def test_patience_is_a_tenth_of_the_wait_without_hope() -> None:
    assert Patience.of(900) == Patience(worker=900, hopeless=90, look=2)
    assert Patience.of(20) == Patience(worker=20, hopeless=2, look=0.2)
