"""Tiers that are announced: those that sleep are woken."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.announcements import Announcements
from gateway.errors import RateLimited, UpstreamUnreachable
from gateway.exchange import Caller
from gateway.upstream.health import untold
from gateway.upstream.waking import Waker
from gateway.wake_api import Announced
from tests.doubles.wakes import CountedWakes
from tests.gateway.samples import tier_map
from tests.gateway.test_conditions import ALL, Desk
from tiers.warmth import Sample

MIXED_ONLY = Caller(name="mixed-only", tiers=frozenset({"mixed"}))


class Bounded:
    """Lets each key have so many workers woken."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.keys: list[str] = []

    async def take(self, key: str) -> None:
        """See ``gateway.upstream.allowance.Allowance``."""
        self.keys.append(key)
        if not self.left:
            raise RateLimited("Enough.")
        self.left -= 1


class Bed(Desk):
    """The tiers of ``Desk``: ``routing``, ``small`` by its alias, whose endpoints sleep, and ``mixed``.

    Attributes:
        counted: What was counted, as tier and state.
        told: What was logged.
    """

    def __init__(self, *, most: int = 9) -> None:
        super().__init__()
        whole = tier_map(replace(self.routing, aliases=("small",)), self.mixed)
        self.bounded = Bounded(most)
        self.counted: list[tuple[str, str]] = []
        self.told: list[dict[str, Any]] = []
        self.announce = Announcements(
            tier_map=lambda: whole,
            fleet=self.conditions.fleet,
            waker=Waker(wakes=CountedWakes(), report=untold, allow=self.bounded.take),
            clock=self.clock,
            count=lambda tier, state, _: self.counted.append((tier, state)),
            report=self.report,
        )

    def report(self, event: str, /, **keys: object) -> None:
        """See ``Report``."""
        self.told.append({"event": event, **keys})

    async def one(self, name: str = "routing", caller: Caller = ALL) -> Announced:
        """What becomes of one name."""
        [told] = await self.announce(caller, [name], "run-7")
        return told

    @property
    def woken(self) -> list[int]:
        """How often each endpoint was woken."""
        return [sleeper.woken for sleeper in self.sleepers]


async def test_a_tier_that_sleeps_is_woken_once() -> None:
    """Whoever announces it after that hears that it wakes; where it is awake nothing is done."""
    bed = Bed()
    first = await bed.one()
    assert (first.state, first.tier, first.expected_seconds) == ("woken", "routing", 60.0)
    bed.clock.advance(20)
    assert (await bed.one()).state == "waking"
    assert (await bed.one()).expected_seconds == 40.0
    bed.warmths[0].answered()
    assert (await bed.one()).state == "awake"
    assert bed.woken == [1, 0, 0]
    assert bed.bounded.keys == ["all"], "what needs no wake costs nothing of a key's allowance"
    assert [state for _, state in bed.counted] == ["woken", "waking", "waking", "awake"]


async def test_a_tier_with_an_endpoint_that_never_sleeps_is_let_be() -> None:
    bed = Bed()
    assert (await bed.one("mixed")).state == "never_sleeps"
    assert bed.woken == [0, 0, 0]


async def test_each_name_is_answered_in_its_place_and_each_tier_looked_at_once() -> None:
    """An alias is its tier; what cannot be woken keeps no other asleep."""
    bed = Bed()
    told = await bed.announce(ALL, ["nobody", "small", "mixed", "routing"], "run-7")
    assert [(each.name, each.tier, each.state, each.code) for each in told] == [
        ("nobody", "", "refused", "model_not_found"),
        ("small", "routing", "woken", None),
        ("mixed", "mixed", "never_sleeps", None),
        ("routing", "routing", "woken", None),
    ]
    assert bed.woken == [1, 0, 0]
    assert sorted(bed.counted) == [("", "refused"), ("mixed", "never_sleeps"), ("routing", "woken")]


async def test_what_was_done_is_logged_and_what_was_not() -> None:
    """That there was nothing to do is not."""
    bed = Bed()
    await bed.announce(ALL, ["routing", "nobody"], "run-7")
    await bed.announce(ALL, ["routing", "mixed"], "run-8")
    assert bed.told == [
        {
            "event": "tiers.announced",
            "key": "all",
            "run": "run-7",
            "woken": ["routing"],
            "refused": {"model_not_found": 1},
        }
    ]


async def test_nobody_wakes_a_tier_that_the_key_may_not_use() -> None:
    bed = Bed()
    told = await bed.one(caller=MIXED_ONLY)
    assert (told.state, told.code) == ("refused", "tier_not_allowed")
    assert bed.woken == [0, 0, 0]


async def test_a_key_may_have_only_so_many_woken() -> None:
    bed = Bed(most=0)
    told = await bed.one()
    assert (told.state, told.code, told.message) == ("refused", "rate_limited", "Enough.")
    assert bed.woken == [0, 0, 0]


async def test_where_no_worker_can_come_none_is_sent_for() -> None:
    """A wake for each step of each run would only pile up there."""
    bed = Bed()
    for warmth in bed.warmths[:2]:
        warmth.heard(Sample(throttled=1))
    told = await bed.one()
    assert (told.state, told.code) == ("refused", "tier_cold")
    assert "no free GPU" in (told.message or "")
    assert bed.woken == [0, 0, 0]


async def test_an_endpoint_that_did_not_hear_it_is_said_to() -> None:
    """The next announcement tries again."""
    bed = Bed()
    bed.sleepers[0].error = UpstreamUnreachable("Nobody there.")
    told = await bed.one()
    assert (told.state, told.code, told.message) == ("refused", "upstream_unreachable", "Nobody there.")
    bed.sleepers[0].error = None
    assert (await bed.one()).state == "woken"


@pytest.mark.parametrize("name", ["auto", "x" * 256])
async def test_what_names_no_tier_is_refused(name: str) -> None:
    """``auto`` names none before there is a request."""
    assert (await Bed().one(name)).code == "model_not_found"
