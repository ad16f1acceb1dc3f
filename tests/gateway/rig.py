"""A whole pipeline on doubles: a clock, a ledger, endpoints and clients that a test holds in its hands."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.admit import Admission
from gateway.authenticate import Authenticator, digest
from gateway.downstream import AsgiClient
from gateway.exchange import Caller
from gateway.extension import Extensions
from gateway.forward import Forwarder
from gateway.heartbeat import Heartbeats
from gateway.hold import Hold
from gateway.observe import Observer
from gateway.pipeline import Pipeline
from gateway.record import RequestRecord
from gateway.relay import Relay
from gateway.route import Router
from gateway.settle import Settler
from gateway.upstream.fleet import Fleet
from gateway.upstream.health import untold
from gateway.upstream.station import Station
from gateway.upstream.waking import Waker
from gateway.wire.headers import Header
from gateway.wire.operations import Operation
from gateway.wire.request_head import RequestHead
from tests.doubles.client import FakeClient
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.doubles.transport import FakeTransport
from tests.doubles.wakes import CountedWakes
from tests.gateway.samples import CALLER, CHAT, tier_map, token_tier
from tests.stores import eventually
from tiers.tiermap import Budget, Route, Tier

KEY = b"sk-the-secret-of-this-test"
HEARTBEAT_SECONDS = 0.05
BOUND_SECONDS = 5.0
"""How long a request may take before its test fails."""


@dataclass(slots=True, kw_only=True)
class Rig:
    """The parts, and what is left when requests have ended."""

    clock: ManualClock
    ledger: FailingLedger
    transports: Mapping[str, FakeTransport]
    stations: Sequence[Station]
    admission: Admission
    settler: Settler
    pipeline: Pipeline
    records: list[RequestRecord]
    sleeps: list[float]
    """The waits between tries, which took no time but on ``clock``. Of all jitter half is drawn."""
    budgets: tuple[Budget, ...]
    tiers: tuple[str, ...]
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def transport(self) -> FakeTransport:
        """The first endpoint's."""
        return next(iter(self.transports.values()))

    def start(
        self,
        client: FakeClient,
        *,
        key: bytes | None = KEY,
        headers: Sequence[Header] = (),
        operation: Operation = CHAT,
    ) -> "asyncio.Task[None]":
        """Begin to serve a request."""
        authorization = [] if key is None else [(b"authorization", b"Bearer " + key)]
        head = RequestHead(operation, [*authorization, *headers])
        serving = self.pipeline.serve(head, AsgiClient(client.receive, client.send, declared=head.content_length))
        task = asyncio.get_running_loop().create_task(serving)
        self.tasks.append(task)
        return task

    async def serve(
        self,
        client: FakeClient,
        *,
        key: bytes | None = KEY,
        headers: Sequence[Header] = (),
        operation: Operation = CHAT,
    ) -> RequestRecord:
        """Serve a request to its end; returns its record."""
        return await self.end_of(self.start(client, key=key, headers=headers, operation=operation))

    async def end_of(self, task: "asyncio.Task[None]") -> RequestRecord:
        """The record that was left when ``task`` ended, which must be the only new one."""
        before = len(self.records)
        async with asyncio.timeout(BOUND_SECONDS):
            await task
        assert len(self.records) == before + 1, "one record per request"
        return self.records[-1]

    async def queued(self, requests: int) -> None:
        """Wait until so many requests wait for a slot."""
        await eventually(lambda: sum(self.admission.queue_lengths().values()) == requests)

    async def spent(self) -> dict[str, tuple[int, int]]:
        """Budget → settled and held."""
        return {one.budget: (one.settled, one.held) for one in await self.ledger.memory.balances(self.budgets)}

    async def assert_clean(self) -> None:
        """Nothing of any request is left: each claim resolved once, no slot held, no answer open, nobody waiting."""
        await self.settler.book_kept()
        assert self.settler.unsettled == 0
        resolved = [name for name, _ in self.ledger.resolved]
        assert sorted(resolved) == sorted(self.ledger.taken), "each claim is resolved exactly once"
        assert set((await self.ledger.memory.slots_held(self.tiers)).values()) == {0}
        assert all(held == 0 for _, held in (await self.spent()).values())
        assert [station.meter.in_flight for station in self.stations] == [0] * len(self.stations)
        assert set(self.admission.queue_lengths().values()) == {0}
        for transport in self.transports.values():
            assert [response.closings for response in transport.answered] == [1] * len(transport.answered)
        assert len(self.records) == len(self.tasks), "one record per request"
        assert all(task.done() for task in self.tasks)


def rig(
    *tiers: Tier,
    budgets: tuple[Budget, ...] = (),
    routes: tuple[Route, ...] = (),
    caller: Caller = CALLER,
    body_bytes_max: int = 10_000,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> Rig:
    """A pipeline over these tiers (one tier with two slots, unless told), each endpoint on a transport of its own.

    ``sleep`` is how it waits between tries, where that is to take time.
    """
    whole = tier_map(*(tiers or (token_tier(),)), budgets=budgets, routes=routes)
    clock = ManualClock()
    ledger = FailingLedger(clock.unix)
    transports = {endpoint.name: FakeTransport() for each in whole.tiers.values() for endpoint in each.endpoints}
    stations = {
        name: tuple(
            Station(tier=each, endpoint=endpoint, transport=transports[endpoint.name], api_key=None, clock=clock)
            for endpoint in each.endpoints
        )
        for name, each in whole.tiers.items()
    }
    sleeps: list[float] = []

    async def slept(seconds: float) -> None:
        sleeps.append(seconds)
        clock.advance(seconds)

    records: list[RequestRecord] = []
    numbers, wakes = itertools.count(1), CountedWakes()
    settler = Settler(ledger=ledger, clock=clock)
    admission = Admission(
        ledger=ledger, clock=clock, budgets=budgets, tiers=whole.tiers, abandon=settler.release_later,
        live=settler.live, allowances=settler.allowances,
    )  # fmt: skip
    pipeline = Pipeline(
        authenticate=Authenticator({digest(KEY): caller}),
        route=Router(whole),
        admit=admission,
        forward=Forwarder(fleet=Fleet(stations), clock=clock),
        relay=Relay(clock=clock),
        settle=settler,
        hold=Hold(
            wakes=wakes,
            waker=Waker(wakes=wakes, report=untold),
            heartbeats=Heartbeats(HEARTBEAT_SECONDS),
            clock=clock,
        ),
        extensions=Extensions(ledger=ledger, clock=clock),
        observe=Observer(hooks=[lambda record, _: records.append(record)], clock=clock),
        clock=clock,
        request_ids=lambda: f"req_{next(numbers)}",
        body_bytes_max=body_bytes_max,
        draw=lambda: 0.5,
        sleep=sleep or slept,
    )
    return Rig(
        clock=clock,
        ledger=ledger,
        transports=transports,
        stations=[station for group in stations.values() for station in group],
        admission=admission,
        settler=settler,
        pipeline=pipeline,
        records=records,
        sleeps=sleeps,
        budgets=budgets,
        tiers=tuple(whole.tiers),
    )
