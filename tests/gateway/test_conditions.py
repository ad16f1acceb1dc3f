"""How tiers and their endpoints are, and waking them."""

from collections.abc import Sequence
from dataclasses import asdict

import pytest

from gateway.conditions import Conditions
from gateway.errors import ModelNotFound, TierNotAllowed, UpstreamUnreachable
from gateway.exchange import Caller
from gateway.upstream.fleet import Fleet
from gateway.upstream.health import untold
from gateway.upstream.station import Station
from gateway.upstream.waking import Waker
from gateway.upstream.warmth import Warmth
from gateway.wire.header_lines import HeaderLines
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.doubles.transport import FakeTransport
from tests.doubles.wakes import CountedWakes
from tests.gateway.samples import token_tier
from tiers.tiermap import Endpoint, Tier, Workers
from tiers.warmth import Sample

ALL, ROUTING = Caller(name="all"), Caller(name="routing", tiers=frozenset({"routing"}))
LOCAL = Endpoint(name="mixed/0", url="http://a.test/v1")
FIRST = Endpoint(name="routing/0", url="https://api.runpod.ai/v2/r1", transport="runpod-queue")
SECOND = Endpoint(name="routing/1", url="https://api.runpod.ai/v2/r2", transport="runpod-queue")


class Sleeper(FakeTransport):
    """Counts how often it is woken; says that it was called, as a transport does."""

    def __init__(self, warmth: Warmth) -> None:
        super().__init__()
        self.woken = 0
        self.error: Exception | None = None
        self._warmth = warmth

    async def wake(self, headers: Sequence[HeaderLines]) -> None:
        """See ``Waking``."""
        del headers
        self.woken += 1
        if self.error is not None:
            raise self.error
        self._warmth.called()


class Desk:
    """Two tiers: one whose two endpoints sleep, one that is partly no Runpod endpoint's."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sleepers: list[Sleeper] = []
        self.warmths: list[Warmth] = []
        self.routing = token_tier("routing", endpoints=(FIRST, SECOND))
        self.mixed = token_tier("mixed", endpoints=(LOCAL, FIRST))
        self.local = self.station(self.mixed, LOCAL, FakeTransport(), None)
        fleet = Fleet(
            {
                "routing": [self.asleep(self.routing, FIRST), self.asleep(self.routing, SECOND)],
                "mixed": [self.local, self.asleep(self.mixed, FIRST)],
            }
        )
        self.ledger = FailingLedger(self.clock.unix)
        self.conditions = Conditions(
            tier_map=lambda: {"routing": self.routing, "mixed": self.mixed},
            fleet=lambda: fleet,
            queue_lengths=lambda: {"routing": 3},
            ledger=self.ledger,
            waker=Waker(wakes=CountedWakes(), report=untold),
            clock=self.clock,
        )

    def asleep(self, tier: Tier, endpoint: Endpoint) -> Station:
        """A station whose workers sleep."""
        warmth = Warmth(base=endpoint.url, workers=Workers(max=2, slots=8), clock=self.clock)
        self.warmths.append(warmth)
        self.sleepers.append(Sleeper(warmth))
        return self.station(tier, endpoint, self.sleepers[-1], warmth)

    def station(self, tier: Tier, endpoint: Endpoint, transport: FakeTransport, warmth: Warmth | None) -> Station:
        """A station."""
        return Station(
            tier=tier, endpoint=endpoint, transport=transport, api_key="rpa", clock=self.clock, warmth=warmth
        )


async def test_each_tier_is_shown_with_its_endpoints() -> None:
    """What is known of workers, where there are any to wake."""
    desk = Desk()
    desk.warmths[0].called()
    desk.clock.advance(5)
    desk.warmths[0].heard(Sample(initializing=1, in_queue=2))
    desk.clock.advance(2)
    desk.warmths[0].waiting, desk.warmths[0].waiting_elsewhere = 4, 5
    desk.local.meter.start(0.0)
    routing, mixed = (asdict(tier) for tier in await desk.conditions.tiers(ALL))
    assert (routing["name"], routing["slots"], routing["slots_held"], routing["queue_length"]) == ("routing", 2, 0, 3)
    assert (mixed["name"], mixed["model"], mixed["queue_length"]) == ("mixed", desk.mixed.model, 0)
    assert routing["endpoints"][0] == {
        "name": "routing/0",
        "transport": "runpod-queue",
        "breaker": "closed",
        "in_flight": 0,
        "state": "waking",
        "since_unix": desk.clock.unix() - 7,
        "held": 9,
        "workers_max": 2,
        "slots_per_worker": 8,
        "wake_expected_seconds": 60.0,
        "sample": {
            "age_seconds": 2.0,
            "workers": {"idle": 0, "initializing": 1, "ready": 0, "running": 0, "throttled": 0, "unhealthy": 0},
            "jobs": {"in_queue": 2, "in_progress": 0},
        },
    }
    assert (routing["endpoints"][1]["state"], routing["endpoints"][1]["sample"]) == ("unknown", None)
    local = mixed["endpoints"][0]
    assert (local["transport"], local["breaker"], local["in_flight"], local["state"]) == ("openai", "closed", 1, None)


async def test_a_key_sees_the_tiers_that_it_may_use() -> None:
    desk = Desk()
    assert [tier.name for tier in await desk.conditions.tiers(ROUTING)] == ["routing"]


async def test_without_the_store_nobody_knows_how_many_slots_are_held() -> None:
    """The rest is shown all the same, in time."""
    desk = Desk()
    desk.ledger.down.add("slots_held")
    assert [tier.slots_held for tier in await desk.conditions.tiers(ALL)] == [None, None]


async def test_waking_a_tier_wakes_its_first_endpoint_once() -> None:
    """However often it is asked for: requests go to an endpoint that is awake before any that sleeps."""
    desk = Desk()
    woken = await desk.conditions.wake(ROUTING, "routing")
    assert (woken.tier, woken.awake, woken.sent, woken.expected_seconds) == ("routing", False, True, 60)
    assert [endpoint.state for endpoint in woken.endpoints] == ["waking", "unknown"]
    desk.clock.advance(20)
    again = await desk.conditions.wake(ROUTING, "routing")
    assert (again.awake, again.sent, again.expected_seconds) == (False, False, 40)
    assert [sleeper.woken for sleeper in desk.sleepers] == [1, 0, 0]
    desk.warmths[0].answered()
    awake = await desk.conditions.wake(ROUTING, "routing")
    assert (awake.awake, awake.sent, awake.expected_seconds) == (True, False, 0)
    assert [sleeper.woken for sleeper in desk.sleepers] == [1, 0, 0]


async def test_an_endpoint_that_is_known_to_be_broken_is_not_the_one_that_is_woken() -> None:
    """Where there is another one."""
    desk = Desk()
    desk.warmths[0].heard(Sample(unhealthy=1))
    assert (await desk.conditions.wake(ALL, "routing")).sent
    assert [sleeper.woken for sleeper in desk.sleepers] == [0, 1, 0]


async def test_a_tier_with_an_endpoint_that_never_sleeps_is_awake() -> None:
    desk = Desk()
    assert (await desk.conditions.wake(ALL, "mixed")).awake
    assert [sleeper.woken for sleeper in desk.sleepers] == [0, 0, 0]


async def test_a_tier_that_is_not_there_or_not_allowed_is_not_woken() -> None:
    desk = Desk()
    with pytest.raises(ModelNotFound, match="no tier called 'other'"):
        await desk.conditions.wake(ALL, "other")
    with pytest.raises(TierNotAllowed, match="may not use the tier 'mixed'"):
        await desk.conditions.wake(ROUTING, "mixed")


async def test_an_endpoint_that_does_not_hear_it_is_told_of() -> None:
    """And the next one who asks tries again."""
    desk = Desk()
    desk.sleepers[0].error = UpstreamUnreachable("refused")
    for _ in range(2):
        with pytest.raises(UpstreamUnreachable):
            await desk.conditions.wake(ALL, "routing")
    assert desk.sleepers[0].woken == 2
