"""Who looks at the health of Runpod endpoints, when, and what becomes of it. Time is a clock that the test moves."""

import asyncio

import msgspec
import pytest

from gateway.errors import UpstreamUnreachable
from gateway.upstream.fleet import Fleet
from gateway.upstream.health_poll import HealthPoll
from gateway.upstream.look import Look
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.shared_health import AWAITED, UNUSED, USED, News
from gateway.upstream.station import Station
from gateway.upstream.warmth import Warmth
from tests.doubles.clock import ManualClock
from tests.doubles.health import ScriptedHealth
from tests.doubles.transport import FakeResponse, FakeTransport, Gate
from tests.gateway.samples import token_tier
from tests.stores import eventually
from tiers.tiermap import Endpoint
from tiers.warmth import Sample, State

TIMES = RunpodTimes()
BASE = "https://api.runpod.test/v2/e1"
BUSY = Sample(ready=1, running=1, in_progress=1)


def health(sample: Sample) -> FakeResponse:
    """Runpod's answer."""
    fields = msgspec.to_builtins(sample)
    jobs = {"inQueue": fields.pop("in_queue"), "inProgress": fields.pop("in_progress")}
    return FakeResponse(msgspec.json.encode({"jobs": jobs, "workers": fields}))


class Bed:
    """A poll over one Runpod endpoint that two tiers have, and one that is not Runpod's."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.shared = ScriptedHealth()
        self.told: list[dict[str, object]] = []
        self.warmth = self.make_warmth(BASE)
        self.transport = FakeTransport()
        self.fleets: list[Fleet] = [self.fleet(self.warmth, self.transport)]
        self.poll = HealthPoll(
            lambda: self.fleets, self.shared, times=TIMES, clock=self.clock, report=self.report, draw=lambda: 0.0
        )

    def report(self, event: str, /, **keys: object) -> None:
        """See ``Report``."""
        self.told.append({"event": event, **keys})

    def told_sample(self) -> Sample | None:
        """The sample that it told the others in its latest round."""
        return self.shared.told[0].sample

    def make_warmth(self, base: str) -> Warmth:
        """What is known of an endpoint: nothing."""
        return Warmth(base=base, workers=Endpoint(name="x", url=base).workers, clock=self.clock)

    def fleet(self, warmth: Warmth, transport: FakeTransport, *tiers: str) -> Fleet:
        """Tiers that have the endpoint."""
        stations = {name: [self.station(name, warmth, transport)] for name in tiers or ("routing", "adapter")}
        return Fleet(stations | {"local": [self.station("local", None, transport)]})

    def station(self, name: str, warmth: Warmth | None, transport: FakeTransport) -> Station:
        """One of them."""
        tier = token_tier(name)
        station = Station(
            tier=tier,
            endpoint=tier.endpoints[0],
            transport=transport,
            api_key=None,
            clock=self.clock,
            warmth=warmth,
        )
        station.look = None if warmth is None else Look(transport, [])
        return station

    async def round(self, *answers: FakeResponse | Exception) -> int:
        """Go round once; says how many looks were taken."""
        self.transport.then(*answers)
        before = len(self.transport.requests)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            await self.poll.round(group)
        return len(self.transport.requests) - before

    async def seconds_to_the_next_look(self, answer: FakeResponse | Exception) -> int:
        """How long it takes, in rounds of a second."""
        self.transport.then(answer)
        for seconds in range(1, 200):
            self.clock.advance(1)
            if await self.round():
                return seconds
        return 200


def news(
    *,
    level: int = UNUSED,
    waiting: int = 0,
    worked_at: float = -1e9,
    sample: Sample | None = None,
    sampled_at: float = -1e9,
) -> News:
    """What the others know."""
    return News(base=BASE, level=level, waiting=waiting, worked_at=worked_at, sample=sample, sampled_at=sampled_at)


async def test_an_endpoint_that_nobody_ever_called_is_looked_at_once_at_the_start() -> None:
    """Once for all tiers that have it, which is also what it is called in the log."""
    bed = Bed()
    assert await bed.round(health(Sample())) == 1
    assert bed.warmth.state is State.COLD
    assert bed.warmth.names == ["routing/0", "adapter/0"]
    assert await bed.round() == 0


async def test_how_often_depends_on_who_wants_to_know() -> None:
    """Seldom while it is not used; every second while somebody waits; often while a worker is billed."""
    bed = Bed()
    await bed.round(health(Sample()))
    assert await bed.seconds_to_the_next_look(health(Sample())) == TIMES.health_unused
    bed.warmth.answered()
    assert await bed.seconds_to_the_next_look(health(Sample(ready=1))) == TIMES.health_used
    assert await bed.seconds_to_the_next_look(health(Sample())) == TIMES.health_billed
    bed.warmth.failed()
    assert await bed.seconds_to_the_next_look(health(Sample(ready=1))) == TIMES.health_awaited
    bed.warmth.waiting = 1
    assert await bed.seconds_to_the_next_look(health(Sample(ready=1))) == TIMES.health_awaited
    bed.warmth.waiting = 0
    bed.warmth.asleep()
    bed.warmth.called()
    assert await bed.seconds_to_the_next_look(health(Sample(in_queue=1))) == TIMES.health_awaited
    bed.warmth.answered()
    bed.warmth.under_way = 1
    bed.clock.advance(1000)
    assert await bed.seconds_to_the_next_look(health(BUSY)) == 1
    assert await bed.seconds_to_the_next_look(health(BUSY)) == TIMES.health_billed
    bed.shared.away = True
    assert await bed.seconds_to_the_next_look(health(BUSY)) == TIMES.health_unused


async def test_where_another_process_looks_this_one_does_not() -> None:
    """It hears what the other has seen, and says what it waits for."""
    bed = Bed()
    bed.shared.leads = False
    bed.warmth.waiting = 3
    assert await bed.round() == 0
    assert [(each.base, each.level, each.waiting) for each in bed.shared.told] == [(BASE, AWAITED, 3)]
    bed.clock.advance(1)
    bed.shared.others[BASE] = news(waiting=4, sample=Sample(in_queue=1), sampled_at=bed.clock.monotonic())
    assert await bed.round() == 0
    assert (bed.warmth.state.value, bed.warmth.waiting_elsewhere) == ("waking", 4)
    bed.clock.advance(1)
    bed.shared.others[BASE] = news(worked_at=bed.clock.monotonic())
    await bed.round()
    assert [bed.warmth.state, bed.warmth.waiting_elsewhere] == [State.WARM, 0]


async def test_what_was_seen_before_this_process_watched_is_no_news() -> None:
    """The workers may have gone since, as while a gateway is started anew. So it asks for a look."""
    bed = Bed()
    bed.shared.leads = False
    before = bed.clock.monotonic() - 0.5
    bed.shared.others[BASE] = news(worked_at=before, sample=BUSY, sampled_at=before)
    await bed.round()
    await bed.round()
    assert bed.warmth.state is State.UNKNOWN
    assert [each.level for each in bed.shared.told] == [AWAITED]


async def test_news_are_told_once_and_only_by_who_saw_them() -> None:
    """What was heard from others is not told again as if it were seen now."""
    bed = Bed()
    await bed.round(health(BUSY))
    await bed.round()
    assert bed.told_sample() == BUSY
    await bed.round()
    assert bed.told_sample() is None
    bed.shared.leads = False
    bed.clock.advance(5)
    bed.shared.others[BASE] = news(sample=Sample(ready=1), sampled_at=bed.clock.monotonic())
    await bed.round()
    await bed.round()
    assert bed.warmth.sample == Sample(ready=1)
    assert bed.told_sample() is None


async def test_the_one_that_looks_does_so_for_all() -> None:
    """As often as anybody wants."""
    bed = Bed()
    await bed.round(health(Sample()))
    bed.shared.others[BASE] = news(level=USED)
    assert await bed.seconds_to_the_next_look(health(Sample())) == TIMES.health_used
    bed.shared.others[BASE] = news(level=AWAITED)
    assert await bed.seconds_to_the_next_look(health(Sample())) == TIMES.health_awaited


async def test_without_the_store_each_process_looks_for_itself_and_less_often() -> None:
    """What it saw meanwhile it tells when the store is back."""
    bed = Bed()
    bed.shared.leads, bed.shared.away = False, True
    bed.warmth.waiting, bed.warmth.waiting_elsewhere = 1, 7
    assert await bed.round(health(Sample(in_queue=1))) == 1
    assert bed.warmth.waiting_elsewhere == 0
    assert await bed.seconds_to_the_next_look(health(Sample(in_queue=2))) == TIMES.health_used
    bed.warmth.waiting = 0
    bed.warmth.answered()
    assert await bed.seconds_to_the_next_look(health(BUSY)) == TIMES.health_unused
    bed.shared.away = False
    await bed.round()
    assert bed.told_sample() == BUSY


async def test_a_look_that_fails_changes_nothing_and_is_told_once() -> None:
    """The next ones come later and later."""
    bed = Bed()
    bed.warmth.answered()
    bed.warmth.waiting = 1
    assert await bed.round(FakeResponse(b"{}", status=401)) == 1
    assert bed.warmth.ready
    waits = [await bed.seconds_to_the_next_look(UpstreamUnreachable("refused")) for _ in range(3)]
    assert waits == [2, 4, 8]
    assert await bed.seconds_to_the_next_look(health(BUSY)) == 16
    events = [each for each in bed.told if str(each["event"]).startswith("endpoint.health")]
    names = ["routing/0", "adapter/0"]
    assert events == [
        {"event": "endpoint.health_unknown", "endpoints": names, "status": 401, "message": "answered 401"},
        {"event": "endpoint.health_known", "endpoints": names, "looks_failed": 4},
    ]


@pytest.mark.parametrize(("asked", "waits"), [(b"30", 30), (b"", 10), (b"100000", 60)])
async def test_a_limit_is_kept(asked: bytes, waits: int) -> None:
    """As long as Runpod asks for, within reason."""
    bed = Bed()
    bed.warmth.waiting = 1
    await bed.round(FakeResponse(b"{}", status=429, headers=((b"retry-after", asked),)))
    assert await bed.seconds_to_the_next_look(health(BUSY)) == waits


async def test_one_look_at_a_time() -> None:
    """A slow answer is waited for, not asked for again."""
    bed = Bed()
    gate = Gate()
    bed.transport.then(FakeResponse(gate, b"{}"))
    bed.warmth.waiting = 1
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        await bed.poll.round(group)
        await gate.reached.wait()
        bed.clock.advance(100)
        await bed.poll.round(group)
        gate.opened.set()
    assert len(bed.transport.requests) == 1
    assert await bed.seconds_to_the_next_look(health(BUSY)) == 1


async def test_another_tier_map_is_looked_at_from_the_next_round_on() -> None:
    """What is known stays; endpoints of requests that are still under way are looked at, too."""
    bed = Bed()
    await bed.round(health(Sample()))
    other = bed.make_warmth("https://api.runpod.test/v2/e2")
    transport = FakeTransport(health(BUSY))
    bed.fleets = [*bed.fleets, bed.fleet(other, transport, "second")]
    bed.warmth.waiting = 1
    assert await bed.round() == 0
    assert (other.ready, other.names, bed.warmth.names) == (True, ["second/0"], ["routing/0", "adapter/0"])
    bed.clock.advance(1)
    assert await bed.round(health(Sample(in_queue=1))) == 1
    renamed = FakeTransport(health(BUSY))
    bed.fleets = [bed.fleet(bed.warmth, renamed, "new")]
    bed.clock.advance(1)
    assert await bed.round() == 0
    assert len(renamed.requests) == 1
    assert bed.warmth.names == ["new/0"]


async def test_without_runpod_endpoints_there_is_nothing_to_do() -> None:
    """Nor to tell."""
    bed = Bed()
    bed.fleets = [Fleet({"local": [bed.station("local", None, bed.transport)]})]
    assert await bed.round() == 0
    assert bed.shared.told == ()


async def test_it_goes_round_until_it_is_cancelled() -> None:
    """On a Runpod whose clock runs fast, so do its rounds."""
    bed = Bed()
    bed.poll = HealthPoll(lambda: bed.fleets, bed.shared, times=TIMES.faster(1000), clock=bed.clock, report=bed.report)
    bed.warmth.waiting = 1
    bed.transport.then(*[health(Sample(in_queue=1)) for _ in range(1000)])
    running = asyncio.get_running_loop().create_task(bed.poll.run())
    try:

        def looked() -> bool:
            bed.clock.advance(0.01)
            return len(bed.transport.requests) >= 3

        await eventually(looked)
    finally:
        running.cancel()
        await asyncio.wait([running])
