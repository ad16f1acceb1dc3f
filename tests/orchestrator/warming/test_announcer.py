"""Announcements go out from a thread, once for all runs, and nobody waits for them."""

from collections.abc import Callable, Mapping, Sequence
from threading import Event
from time import monotonic, sleep

import pytest

from orchestrator.warming.announcer import FRESH_SECONDS, TIERS_MAX, WAITING_MAX, Announcer
from orchestrator.warming.wake_call import NotAnnounced
from tests.doubles.clock import ManualClock


class Gateway:
    """Fulfils ``Call``; answers once ``goes_on``."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[str, ...]]] = []
        self.goes_on = Event()
        self.goes_on.set()
        self.refuses: Mapping[str, str] = {}
        self.fails = ""
        self.closed = Event()

    def __call__(self, run: str, tiers: Sequence[str]) -> Mapping[str, str]:
        """See ``Call``."""
        self.heard.append((run, tuple(tiers)))
        assert self.goes_on.wait(10)
        if self.fails:
            raise NotAnnounced(self.fails)
        return {name: why for name, why in self.refuses.items() if name in tiers}

    def close(self) -> None:
        """See ``Call``."""
        self.closed.set()


class Bed:
    """An announcer to a gateway."""

    def __init__(self) -> None:
        self.gateway, self.clock, self.said = Gateway(), ManualClock(), list[str]()
        self.announcer = Announcer(self.gateway, say=self.said.append, clock=self.clock.monotonic)

    def heard(self, count: int) -> list[tuple[str, tuple[str, ...]]]:
        """What the gateway has heard, once there are so many."""
        until(lambda: len(self.gateway.heard) >= count)
        return self.gateway.heard


def until(holds: Callable[[], bool]) -> None:
    """Wait for it, for a bounded time."""
    ends_at = monotonic() + 10
    while not holds():
        assert monotonic() < ends_at
        sleep(0.001)


def test_a_tier_is_announced_once_for_all_runs_that_need_it_at_a_time() -> None:
    """And again when that is some seconds ago: its worker may sleep again."""
    bed = Bed()
    for run in range(200):
        bed.announcer.announce(f"run-{run}", ["routing", "reasoning", "routing"])
    bed.announcer.announce("another", ["routing", "code"])
    assert bed.heard(2) == [("run-0", ("routing", "reasoning")), ("another", ("code",))]
    bed.clock.advance(FRESH_SECONDS)
    bed.announcer.announce("later", ["reasoning"])
    assert bed.heard(3)[2] == ("later", ("reasoning",))
    bed.announcer.close()


def test_nobody_waits_and_what_waits_is_bounded() -> None:
    """While the gateway does not answer."""
    bed = Bed()
    bed.gateway.goes_on.clear()
    bed.announcer.announce("first", ["first"])
    bed.heard(1)
    for number in range(WAITING_MAX + 50):
        bed.announcer.announce("run", [f"tier-{number}"])
    bed.gateway.goes_on.set()
    assert len(bed.heard(WAITING_MAX + 1)) == WAITING_MAX + 1
    bed.clock.advance(1)
    bed.announcer.announce("last", [f"tier-{WAITING_MAX}", *(f"more-{number}" for number in range(TIERS_MAX))])
    assert len(bed.heard(WAITING_MAX + 2)[-1][1]) == TIERS_MAX
    bed.announcer.close()
    assert bed.gateway.closed.wait(10)


def test_what_goes_wrong_is_said_once() -> None:
    bed = Bed()
    bed.gateway.fails = "no answer from the gateway"
    for _ in range(3):
        bed.announcer.announce("run", ["routing"])
        bed.clock.advance(FRESH_SECONDS)
    bed.heard(3)
    until(lambda: bool(bed.said))
    bed.gateway.fails, bed.gateway.refuses = "", {"typo": "No such tier."}
    for _ in range(3):
        bed.announcer.announce("run", ["typo", "routing"])
        bed.clock.advance(FRESH_SECONDS)
    bed.heard(6)
    bed.announcer.close()
    assert bed.said == [
        "tiers are not announced: no answer from the gateway",
        "the tier 'typo' is not announced: No such tier.",
    ]


@pytest.mark.parametrize("used", [True, False])
def test_after_the_end_nothing_is_sent(*, used: bool) -> None:
    bed = Bed()
    if used:
        bed.announcer.announce("run", ["routing"])
        bed.heard(1)
    bed.announcer.close()
    bed.announcer.announce("run", ["late"])
    assert len(bed.gateway.heard) == used


def test_the_end_waits_for_no_gateway() -> None:
    """But for a moment."""
    bed = Bed()
    bed.gateway.goes_on.clear()
    bed.announcer.announce("run", ["routing"])
    bed.heard(1)
    began = monotonic()
    bed.announcer.close()
    assert monotonic() - began < 5
    bed.gateway.goes_on.set()
    assert bed.gateway.closed.wait(10)
