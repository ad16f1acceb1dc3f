"""Webhooks."""

import json

import httpx

from deploy.emulator.clock import EmulatedClock
from deploy.emulator.data_plane.webhooks import Webhooks
from deploy.emulator.model.job import Job, Policy
from tests.deploy.emulator.running import until
from tests.deploy.emulator.worlds import START


class Hook:
    """Answers with one status after the other, and keeps what it was told."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.told: list[dict[str, object]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.told.append(json.loads(request.content))
        status = self.statuses.pop(0)
        if not status:
            raise httpx.ConnectError("refused")
        return httpx.Response(status)


def job() -> Job:
    return Job(
        id="j",
        endpoint_id="e",
        input={"a": 1},
        policy=Policy(),
        sync=False,
        created_at=START,
        queued_at=START,
        webhook="http://127.0.0.1/told",
    )


async def told_by(hook: Hook, *, expected: int) -> None:
    """Tell a job's end to that hook, and wait until it was told so often and no more."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(hook)) as client:
        webhooks = Webhooks(EmulatedClock(start=START, speed=5000.0), client)
        webhooks.tell(job())
        await until(lambda: not webhooks._tasks)
        assert len(hook.told) == expected


async def test_a_webhook_is_told_how_a_job_ended() -> None:
    hook = Hook(200)
    await told_by(hook, expected=1)
    assert hook.told == [{"id": "j", "status": "IN_QUEUE"}]


async def test_a_webhook_that_fails_is_told_twice_more() -> None:
    await told_by(Hook(500, 0, 204), expected=3)
    await told_by(Hook(500, 200), expected=2)


async def test_what_is_on_its_way_at_the_end_is_given_up() -> None:
    hook = Hook(500, 500, 500)
    async with httpx.AsyncClient(transport=httpx.MockTransport(hook)) as client:
        webhooks = Webhooks(EmulatedClock(start=START, speed=0), client)
        webhooks.tell(job())
        await until(lambda: len(hook.told) == 1)
        await webhooks.close()
        assert len(hook.told) == 1
