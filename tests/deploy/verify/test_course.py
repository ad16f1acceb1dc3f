"""Checks one after the other."""

from collections.abc import Sequence

import httpx
import pytest

from deploy.fleet.errors import ControlPlaneUnauthorized
from deploy.verify.course import Course
from deploy.verify.finding import CheckFailed, Finding, NotAsked


class Timed:
    """A course whose clock goes on by a second at each look."""

    def __init__(self) -> None:
        self.told: list[Finding] = []
        self._now = 0.0
        self.course = Course(self.told.append, self._clock)

    def _clock(self) -> float:
        self._now += 1
        return self._now

    async def raises(self, error: Exception) -> Finding:
        """The finding of a check that ends like that."""

        async def work() -> Sequence[str]:
            raise error

        assert not await self.course.check("endpoint", "a/0", "there", work)
        return self.told[-1]


async def good() -> Sequence[str]:
    return ["seen"]


async def test_what_passes_is_told_with_what_was_seen() -> None:
    timed = Timed()
    assert await timed.course.check("gateway", "", "ready", good)
    [finding] = timed.told
    assert (finding.verdict, finding.evidence, finding.seconds) == ("passed", ("seen",), 1.0)
    assert timed.course.passed


async def test_what_stands_on_a_failure_is_skipped() -> None:
    timed = Timed()
    assert not await timed.course.check("gateway", "", "ready", good, after=False)
    assert timed.told[0].verdict == "skipped"
    assert timed.course.passed


@pytest.mark.parametrize(
    ("error", "cause", "seen"),
    [
        (CheckFailed("gone", evidence=["none"], remedy="apply"), "gone", "none"),
        (ControlPlaneUnauthorized("401", remedy="another key"), "ControlPlaneUnauthorized", "401"),
        (TimeoutError(), "no_answer", "no answer in time"),
        (httpx.ConnectError("refused"), "no_answer", "ConnectError: refused"),
    ],
)
async def test_what_goes_wrong_is_a_failure_with_a_remedy(error: Exception, cause: str, seen: str) -> None:
    timed = Timed()
    finding = await timed.raises(error)
    assert (finding.verdict, finding.cause, finding.evidence) == ("failed", cause, (seen,))
    assert finding.remedy
    assert not timed.course.passed


async def test_what_does_not_concern_is_skipped_and_says_why() -> None:
    finding = await Timed().raises(NotAsked("no tools"))
    assert (finding.verdict, finding.evidence) == ("skipped", ("no tools",))
