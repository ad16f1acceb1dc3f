"""Processes that share a store look at an emulated Runpod: one for all, and what it sees reaches everybody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from deploy.emulator.model.endpoint import Endpoint as EmulatedEndpoint
from deploy.emulator.model.faults import Faults
from gateway.clock import SystemClock
from gateway.store.multiplexed import Multiplexed
from gateway.upstream.fleet import Fleet
from gateway.upstream.health_poll import HealthPoll
from gateway.upstream.pool import HttpTransport
from gateway.upstream.response import Response
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.shared_health import StoredHealth
from gateway.upstream.transport import UpstreamRequest
from gateway.upstream.warmth import Warmth
from gateway.upstream.warmths import Warmths
from tests.deploy.emulator.running import CHAT, Running, running
from tests.deploy.emulator.worlds import KEY
from tests.gateway.samples import tier_map, token_tier
from tests.stores import eventually
from tiers.tiermap import Endpoint, Timeouts, Workers
from tiers.warmth import State

pytestmark = pytest.mark.integration
SPEED = 200.0
TIMES = RunpodTimes().faster(SPEED)
LEASE_SECONDS = 0.3


class CountedTransport:
    """Fulfils ``Transport`` over HTTP, and counts what is asked."""

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        self._http = HttpTransport(url, timeouts)
        self.requests = 0

    async def send(self, request: UpstreamRequest) -> Response:
        """See ``Transport``."""
        self.requests += 1
        return await self._http.send(request)

    async def aclose(self) -> None:
        """See ``Transport``."""
        await self._http.aclose()


class Process:
    """A gateway process, as far as it looks at endpoints.

    Attributes:
        warmth: What it knows of the one that there is.
        states: In which states it has seen it.
    """

    def __init__(self, base: str, commands: Multiplexed, prefix: str) -> None:
        clock = SystemClock()
        endpoint = Endpoint(name="routing/0", url=base, transport="runpod-queue", workers=Workers(max=2))
        warmths = Warmths(clock, times=TIMES)
        self._ways: list[CountedTransport] = []
        fleet = Fleet.of(
            tier_map(token_tier("routing", endpoints=(endpoint,))),
            connect=lambda endpoint, _: self._way(endpoint),
            warmth=warmths.of,
            api_key=lambda _: KEY,
            clock=clock,
        )
        [station] = fleet.stations()
        assert station.warmth is not None
        self.warmth: Warmth = station.warmth
        self.states = [self.warmth.state]
        self.warmth.listen(self._changed)
        shared = StoredHealth(commands, clock=clock, prefix=prefix, lease_seconds=LEASE_SECONDS)
        self.poll = HealthPoll(lambda: [fleet], shared, times=TIMES, clock=clock, report=_untold)
        self._task: asyncio.Task[None] | None = None

    @property
    def looks(self) -> int:
        """How often it looked itself."""
        return sum(way.requests for way in self._ways)

    def _way(self, endpoint: Endpoint) -> CountedTransport:
        self._ways.append(CountedTransport(endpoint.url, endpoint.timeouts))
        return self._ways[-1]

    def _changed(self) -> None:
        if self.warmth.state is not self.states[-1]:
            self.states.append(self.warmth.state)

    def start(self) -> None:
        """It begins to go round."""
        self._task = asyncio.get_running_loop().create_task(self.poll.run())

    async def stop(self) -> None:
        """It is killed: it takes leave of nobody."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        for way in self._ways:
            await way.aclose()

    def is_in(self, state: State) -> Callable[[], bool]:
        """Whether it knows the endpoint to be so."""
        return lambda: self.warmth.state is state

    def is_out_of(self, state: State) -> Callable[[], bool]:
        """Whether it knows that the endpoint is not so any more."""
        return lambda: self.warmth.state is not state

    def hears_of(self, waiting: int) -> Callable[[], bool]:
        """Whether it knows that so many calls wait in other processes."""
        return lambda: self.warmth.waiting_elsewhere == waiting


def _untold(event: str, /, **keys: object) -> None:
    del event, keys


@asynccontextmanager
async def processes(count: int, base: str, commands: Multiplexed, prefix: str) -> AsyncIterator[list[Process]]:
    """So many, going round as long as the block."""
    made = [Process(base, commands, prefix) for _ in range(count)]
    try:
        for each in made:
            each.start()
        yield made
    finally:
        for each in made:
            await each.stop()


def base_of(emulator: Running, endpoint: EmulatedEndpoint) -> str:
    """The base URL of an emulated endpoint."""
    return emulator.url(endpoint, "").rstrip("/")


async def test_an_endpoint_goes_from_cold_over_waking_to_warm_and_back(commands: Multiplexed, prefix: str) -> None:
    """By what its health says alone, as where another process sent the call that woke it."""
    async with running(speed=SPEED) as emulator:
        slow = Faults(pull_seconds=30.0, load_seconds=60.0)
        endpoint = emulator.queue(slow, idle_timeout_seconds=30, flashboot="OFF")
        async with processes(1, base_of(emulator, endpoint), commands, prefix) as [process]:
            await eventually(process.is_in(State.COLD))
            job = (
                await emulator.post(
                    endpoint,
                    "run",
                    {"input": {"openai_route": "/v1/chat/completions", "openai_input": CHAT | {"max_tokens": 2000}}},
                )
            ).json()["id"]
            process.warmth.waiting = 1  # so that the look comes soon
            await eventually(process.is_in(State.WARM))
            process.warmth.waiting = 0
            await emulator.ended(endpoint, job)
            await eventually(process.is_in(State.COLD))
            assert process.states == [State.UNKNOWN, State.COLD, State.WAKING, State.WARM, State.COLD]
            # Emulated seconds: pull and load, and what it takes until somebody looks.
            assert 60 <= process.warmth.wake_seconds() * SPEED <= 200


@pytest.mark.parametrize(
    ("faults", "state"),
    [
        (Faults(no_capacity=True), State.THROTTLED),
        (Faults(pull_seconds=1.0, load_seconds=1.0, crash_loop=True), State.CRASH_LOOPING),
    ],
)
async def test_what_keeps_workers_away_is_told_apart(
    commands: Multiplexed, prefix: str, faults: Faults, state: State
) -> None:
    """And when it ends, the endpoint wakes up after all."""
    async with running(speed=SPEED) as emulator:
        endpoint = emulator.queue(faults)
        async with processes(1, base_of(emulator, endpoint), commands, prefix) as [process]:
            await eventually(process.is_in(State.COLD))
            await emulator.post(
                endpoint, "run", {"input": {"openai_route": "/v1/chat/completions", "openai_input": CHAT}}
            )
            process.warmth.waiting = 1
            await eventually(process.is_in(state))
            emulator.world.set_faults(
                endpoint.id, Faults(pull_seconds=1.0, load_seconds=1.0), emulator.emulator.clock.now()
            )
            process.warmth.called()
            await emulator.post(
                endpoint,
                "run",
                {"input": {"openai_route": "/v1/chat/completions", "openai_input": CHAT | {"max_tokens": 3000}}},
            )
            await eventually(process.is_in(State.WARM))


async def test_an_endpoint_that_may_have_no_workers_is_paused(commands: Multiplexed, prefix: str) -> None:
    """Its requests wait, and no worker is even started."""
    async with running(speed=SPEED) as emulator:
        endpoint = emulator.queue(workers_max=0)
        async with processes(1, base_of(emulator, endpoint), commands, prefix) as [process]:
            await emulator.post(endpoint, "run", {"input": {"openai_route": "/v1/models", "openai_input": {}}})
            process.warmth.waiting = 1
            await eventually(process.is_in(State.WAKING))
            await eventually(process.is_in(State.PAUSED))
            assert process.warmth.outlook().hopeless


async def test_one_of_all_processes_looks_and_another_takes_over(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """All of them know what it saw, and wait together for what nobody has yet; a killed one is replaced soon."""
    async with running(speed=SPEED) as emulator:
        endpoint = emulator.queue(Faults(no_capacity=True))
        await emulator.post(endpoint, "run", {"input": {"openai_route": "/v1/models", "openai_input": {}}})
        async with processes(3, base_of(emulator, endpoint), commands, prefix) as all_of_them:
            for each in all_of_them:
                await eventually(each.is_in(State.THROTTLED))
            leaders = [each for each in all_of_them if each.poll.leading]
            assert len(leaders) == 1
            assert [each.looks > 0 for each in all_of_them] == [each in leaders for each in all_of_them]
            followers = [each for each in all_of_them if each not in leaders]
            followers[0].warmth.waiting = 7
            for other in (leaders[0], followers[1]):
                await eventually(other.hears_of(7))
            await leaders[0].stop()
            await eventually(lambda: sum(each.poll.leading for each in followers) == 1)
            emulator.world.set_faults(endpoint.id, Faults(), emulator.emulator.clock.now())
            for each in followers:
                await eventually(each.is_out_of(State.THROTTLED))
        # What is kept there is forgotten when nobody asks any more.
        assert all([await client.pttl(key) > 0 for key in await client.keys(f"{{{prefix}}}*")])
