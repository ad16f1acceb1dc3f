"""The calls to an endpoint that need no emulator: what a balancer says without a worker, and jobs that are let go."""

import httpx
import pytest

from deploy.fleet.answers import DeployedEndpoint
from deploy.verify.calls import Answered, first_balanced, first_by_job, is_cold, served_models
from deploy.verify.finding import CheckFailed
from deploy.verify.subject import Subject, chat
from deploy.verify.waiting import Patience, Watch
from tests.deploy.fleet.planes import ORIGIN, Plane, Script, endpoint
from tests.deploy.verify.clockworks import Clockworks

QUEUE = Subject(key="a/0", id="e1", type="QUEUE", url=f"{ORIGIN}/v2/e1", model="m")
BALANCED = Subject(key="a/0", id="e1", type="LOAD_BALANCER", url=f"{ORIGIN}/lb/e1/v1", model="m")
STARTS = (200, {"workers": {"initializing": 1}})


def watch(plane: Plane) -> Watch:
    patience = Patience(worker=30, hopeless=10, look=10)
    found = DeployedEndpoint.model_validate(endpoint())
    return Watch(plane.plane, found, "a/0", patience, Clockworks().clockwork)


@pytest.mark.parametrize(
    ("status", "text", "cold"),
    [
        (400, '{"detail":"timed out waiting for worker"}', True),
        (400, '{"error":"no workers available"}', True),
        (400, "bad request", False),
        (502, "", True),
        (524, "", True),
        (200, "", False),
        (401, "", False),
    ],
)
def test_a_balancer_without_a_worker_is_known_by_its_words(status: int, text: str, cold: bool) -> None:
    assert is_cold(Answered(status=status, told=None, text=text)) is cold


async def test_a_balancer_is_asked_again_until_a_worker_is_there() -> None:
    script = Script([(400, "timed out waiting for worker"), (502, ""), (200, {"choices": [1]})])
    async with httpx.AsyncClient(transport=script) as client:
        answered = await first_balanced(client, BALANCED, chat("m"), watch(Plane(STARTS, STARTS)))
    assert answered.good
    assert len(script.asked) == 3


async def test_a_job_that_is_given_up_is_cancelled() -> None:
    """It would run and cost money later."""
    waiting = (200, {"id": "j", "status": "IN_QUEUE"})
    script = Script([(200, {"id": "j"}), *[waiting] * 4, (200, {})])
    plane = Plane(*[STARTS] * 4, (200, {"workers": []}))
    async with httpx.AsyncClient(transport=script) as client:
        with pytest.raises(CheckFailed, match="slow_start"):
            await first_by_job(client, QUEUE, chat("m"), watch(plane))
    assert script.asked[-1][:2] == ("POST", "/v2/e1/cancel/j")


async def test_a_job_that_is_not_taken_at_all_is_a_failure() -> None:
    async with httpx.AsyncClient(transport=Script([(401, "")])) as client:
        with pytest.raises(CheckFailed, match="wrong_key"):
            await first_by_job(client, QUEUE, chat("m"), watch(Plane()))


async def test_a_job_that_is_gone_is_told() -> None:
    script = Script([(200, {"id": "j"}), (404, "not found")])
    async with httpx.AsyncClient(transport=script) as client:
        answered = await first_by_job(client, QUEUE, chat("m"), watch(Plane()))
    assert (answered.good, answered.text) == (False, "GONE: not found")


async def test_served_names_are_told_where_they_can_be() -> None:
    script = Script([(200, {"data": [{"id": "x"}]}), (500, "no")])
    async with httpx.AsyncClient(transport=script) as client:
        assert await served_models(client, QUEUE) == ("x",)
        assert await served_models(client, QUEUE) == ()
