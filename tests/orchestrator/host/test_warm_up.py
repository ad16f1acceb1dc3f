"""The start, phase by phase."""

import asyncio

import pytest

from orchestrator.errors import FlowUnusable
from orchestrator.host.warm_up import KeyRefused, Phase, WarmUpFailed, until_reachable, warm_up


async def nothing() -> None:
    """A phase that is done at once."""


async def hang() -> None:
    """A phase that never ends."""
    await asyncio.sleep(60)


async def no_flow() -> None:
    """A phase that fails as the orchestrator does."""
    raise FlowUnusable("There is no file x.py.")


async def bug() -> None:
    """A phase that fails as programs do."""
    raise KeyError("x")


async def test_phases_come_in_order_each_with_its_seconds() -> None:
    said: list[str] = []
    await warm_up((Phase("one", nothing), Phase("two", nothing)), say=said.append)
    assert said == [
        "start-up: one took 0.00 s",
        "start-up: two took 0.00 s",
        "start-up: ready after 0.00 s",
    ]


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        (no_flow, "start-up: two failed after 0.0 s: There is no file x.py."),
        (bug, "start-up: two failed after 0.0 s: KeyError: 'x'"),
        (hang, "start-up: two took longer than 0.02 s"),
    ],
)
async def test_a_phase_that_fails_or_hangs_ends_the_start_with_its_reason(phase: object, reason: str) -> None:
    said: list[str] = []
    with pytest.raises(WarmUpFailed) as failed:
        await warm_up(
            (Phase("one", nothing), Phase("two", phase), Phase("three", nothing)),  # type: ignore[arg-type]
            say=said.append,
            phase_seconds_max=0.02,
        )
    assert str(failed.value) == reason
    assert said == ["start-up: one took 0.00 s"]


class Gateway:
    """A gateway that is not there yet."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)

    async def why_not(self) -> str:
        """The next reason, the last one for ever."""
        return self.reasons.pop(0) if len(self.reasons) > 1 else self.reasons[0]


async def test_a_gateway_may_come_later() -> None:
    await until_reachable(Gateway("no answer", "it answers 503", "").why_not, poll_seconds=0.001)


async def test_a_gateway_that_does_not_come_is_told_with_the_last_reason() -> None:
    with pytest.raises(WarmUpFailed, match=r"did not answer within 0\.02 s: it answers 503"):
        await until_reachable(Gateway("no answer", "it answers 503").why_not, seconds_max=0.02, poll_seconds=0.001)


async def test_a_key_that_is_refused_is_not_waited_for() -> None:
    async def refuse() -> str:
        raise KeyRefused("the gateway refuses the key")

    with pytest.raises(KeyRefused):
        await until_reachable(refuse)
