"""The composition root: every part of the gateway is made here, given what it needs, and closed in order."""

import asyncio
import gc
import itertools
import secrets
import select
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version

import uvicorn

from gateway.admit import Admission
from gateway.api import Desk, Gateway
from gateway.authenticate import Authenticator, digest
from gateway.budget.ledger import Ledger
from gateway.budget.valkey import ValkeyLedger
from gateway.clock import SystemClock
from gateway.descriptors import allow_descriptors
from gateway.errors import StoreUnavailable
from gateway.exchange import Caller, Clock
from gateway.forward import Forwarder
from gateway.front.protocol import protocol_of
from gateway.observe import Observer
from gateway.pipeline import Pipeline
from gateway.relay import Relay
from gateway.route import Router
from gateway.settings import Settings, read_secrets, secret_references
from gateway.settle import Settler
from gateway.status import Status
from gateway.store import Store, open_store
from gateway.store.greeting import greet
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.records import RecordStore
from gateway.telemetry.shared import SharedSeries
from gateway.upstream.fleet import Fleet
from gateway.upstream.pool import HttpTransport
from tiers.tiermap import SecretReference, TierMap

SWEEP_SECONDS = 5.0
"""How often overdue reservations are looked for; ``reserve`` also finds some on its way."""
GARBAGE_THRESHOLD = 50_000
"""Objects more than before at which the cycle collector looks at the youngest; Python's own value is 700."""
BACKLOG = 4096
KEEP_ALIVE_SECONDS = 75
SHARE_SECONDS = 1.0
"""How often a process tells the others its series: at most what is lost of them when it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The running gateway: the application and what works behind it."""

    gateway: Gateway
    pipeline: Pipeline
    settler: Settler
    records: RecordStore
    ledger: Ledger
    drain: Callable[[], None]
    """Makes ``/readyz`` say that no new request should come."""
    share: Callable[[], None] = field(repr=False)
    """Tells this process's series to the others, where there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What one of several processes gets from their parent, which alone greets, binds and starts the store."""

    listener: socket.socket
    """Its own; it listens already."""
    store_url: str = field(repr=False)
    store_description: str
    store_remedy: str
    shared: SharedSeries
    ready: Callable[[], None]
    """Is called when requests can be served."""


async def serve(settings: Settings, tier_map: TierMap) -> None:
    """Serve as the only process until SIGTERM or SIGINT, then let open answers end.

    Raises:
        SettingsInvalid: A secret of the tier map cannot be read.
        OSError: The address cannot be listened on.
        StoreUnavailable: The embedded store cannot be started. (One elsewhere may come later.)
        ValueError: The store's URL is not one.
    """
    clock = SystemClock()
    log = Log(sys.stderr.buffer, clock)
    known = read_secrets(secret_references(tier_map))
    allow_descriptors(tier_map, log.event)
    store_url, data_directory = settings.store or tier_map.store, settings.state_directory / "store"
    async with open_store(store_url, data_directory=data_directory, report=log.event) as store:
        await greet(store, log.event)
        # Listening comes first: an error inside `running` is one of a group.
        with _listening(settings) as listener:
            host, port = listener.getsockname()[:2]
            async with running(settings, tier_map, known, store=store, clock=clock, log=log) as parts:
                _spare_the_collector()
                await _Server(parts, settings).serve_until_stopped(
                    listener,
                    lambda: log.event("gateway.listening", host=host, port=port, tiers=list(tier_map.tiers)),
                )
        log.event("gateway.stopped")


async def serve_in(place: Place, settings: Settings, tier_map: TierMap) -> None:
    """Serve as one of several processes, as ``serve`` does.

    Raises:
        SettingsInvalid: A secret of the tier map cannot be read.
        ValueError: The store's URL is not one.
    """
    clock = SystemClock()
    log = Log(sys.stderr.buffer, clock, piece_bytes_max=select.PIPE_BUF)
    known = read_secrets(secret_references(tier_map))
    with place.listener:
        async with (
            open_store(place.store_url, data_directory=settings.state_directory, report=log.event) as opened,
            running(
                settings,
                tier_map,
                known,
                store=replace(opened, description=place.store_description, remedy=place.store_remedy),
                clock=clock,
                log=log,
                shared=place.shared,
            ) as parts,
        ):
            _spare_the_collector()
            await _Server(parts, settings).serve_until_stopped(place.listener, place.ready)


@asynccontextmanager
async def running(
    settings: Settings,
    tier_map: TierMap,
    known: Mapping[SecretReference, str],
    *,
    store: Store,
    clock: Clock,
    log: Log,
    shared: SharedSeries | None = None,
) -> AsyncIterator[Parts]:
    """The parts, made and wired, with their background work; ``known`` holds the tier map's secrets."""
    fleet = Fleet.of(
        tier_map,
        connect=lambda endpoint, tier: HttpTransport(endpoint.url, tier.timeouts),
        api_key=lambda endpoint: known[endpoint.api_key] if endpoint.api_key is not None else None,
    )
    ledger = ValkeyLedger(store.commands)
    records = RecordStore(store.client, store.commands)
    parts = compose(
        settings, tier_map, _callers(tier_map, known), fleet=fleet, ledger=ledger, records=records, store=store,
        clock=clock, log=log, shared=shared,
    )  # fmt: skip
    try:
        async with _background(parts, shares=shared is not None):
            yield parts
        await _book_the_rest(parts, log)
    finally:
        parts.share()
        log.flush()
        await fleet.aclose()


def compose(
    settings: Settings,
    tier_map: TierMap,
    callers: Mapping[str, Caller],
    *,
    fleet: Fleet,
    ledger: Ledger,
    records: RecordStore,
    store: Store,
    clock: Clock,
    log: Log,
    shared: SharedSeries | None = None,
) -> Parts:
    """Wire the steps into the pipeline and the pipeline into the application. Does no I/O.

    ``shared`` is where the series of all processes come together; ``None`` where this is the only one.
    """
    release = version("tiergate")
    metrics = Metrics(tier_map, version=release, process=0 if shared is None else shared.process)
    authenticate, route = Authenticator(callers), Router(tier_map)
    settler = Settler(ledger=ledger, clock=clock)
    admit = Admission(
        ledger=ledger,
        clock=clock,
        budgets=tier_map.budgets,
        tiers=tier_map.tiers,
        abandon=settler.release_later,
    )
    draining = asyncio.Event()
    pipeline = Pipeline(
        authenticate=authenticate,
        route=route,
        admit=admit,
        forward=Forwarder(fleet=fleet, clock=clock),
        relay=Relay(clock=clock),
        settle=settler,
        observe=Observer(
            hooks=[
                lambda record, _: metrics.observe(record),
                log.request,
                lambda _, encoded: records.add_encoded(encoded),
            ],
            clock=clock,
        ),
        clock=clock,
        request_ids=_request_ids().__next__,
        body_bytes_max=settings.body_bytes_max,
    )

    status = Status(
        tier_map=tier_map, admit=admit, settler=settler, ledger=ledger, records=records, store=store, metrics=metrics,
        log=log, draining=draining, shared=shared,
    )  # fmt: skip
    desk = Desk(
        authenticate=authenticate,
        route=route,
        readiness=status.readiness,
        metrics=status.scrape,
        balances=status.balances,
        records=status.recent,
    )
    return Parts(
        gateway=Gateway(pipeline=pipeline, desk=desk, version=release),
        pipeline=pipeline,
        settler=settler,
        records=records,
        ledger=ledger,
        drain=draining.set,
        share=status.share,
    )


@asynccontextmanager
async def _background(parts: Parts, *, shares: bool) -> AsyncIterator[None]:
    """The work that goes on beside requests: late settlements, records, overdue reservations, and series to share."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(parts.settler.run()),
            group.create_task(parts.records.run()),
            group.create_task(_sweep(parts.ledger)),
        ]
        if shares:
            tasks.append(group.create_task(_share(parts.share)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _book_the_rest(parts: Parts, log: Log) -> None:
    """At the end: what still waits for the store is written now, or said to be lost."""
    await parts.settler.book_kept()
    if parts.settler.unsettled:
        log.event("settlements.left", count=parts.settler.unsettled, outcome="they expire, charged in full")
    try:
        await parts.records.flush()
    except StoreUnavailable as error:
        log.event("records.lost", message=error.message)


async def _sweep(ledger: Ledger, every_seconds: float = SWEEP_SECONDS) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await ledger.expire()
        except StoreUnavailable:
            continue


async def _share(share: Callable[[], None], every_seconds: float = SHARE_SECONDS) -> None:
    while True:
        share()
        await asyncio.sleep(every_seconds)


def _callers(tier_map: TierMap, known: Mapping[SecretReference, str]) -> dict[str, Caller]:
    """Digest of each key → its caller."""
    callers = {}
    for key in tier_map.keys:
        hashed = key.hash if key.secret is None else digest(known[key.secret].encode())
        if hashed is not None:
            callers[hashed] = Caller(name=key.name, tiers=frozenset(key.tiers) if key.tiers is not None else None)
    return callers


def _request_ids() -> Iterator[str]:
    """Ids that no other process and no earlier start of this one gives out."""
    prefix = secrets.token_hex(6)
    return (f"req_{prefix}{number:08x}" for number in itertools.count())


def _spare_the_collector() -> None:
    """What was made at start lives as long as the process, and a request leaves no cycles: look for them seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)


class _Server(uvicorn.Server):
    """Uvicorn, stopped by SIGTERM and SIGINT without raising them again: a wanted stop is a success."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        config = uvicorn.Config(
            parts.gateway,
            http=protocol_of(parts.pipeline),  # what is not a plain metered request goes to uvicorn's own
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=BACKLOG,  # uvicorn listens again on the socket that it is given
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=round(settings.drain_seconds),
        )
        super().__init__(config)
        self._on_stop = parts.drain

    async def serve_until_stopped(self, listener: socket.socket, announce: Callable[[], None]) -> None:
        """Serve until a signal; a second one ends open answers at once. ``announce`` is called once it begins."""
        loop = asyncio.get_running_loop()
        wanted = (signal.SIGTERM, signal.SIGINT)
        for number in wanted:
            loop.add_signal_handler(number, self._stop)
        try:
            announce()
            await self.serve(sockets=[listener])
        finally:
            for number in wanted:
                loop.remove_signal_handler(number)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn's own handling, which would raise the signal again at the end, is not wanted."""
        yield

    def _stop(self) -> None:
        self._on_stop()
        if self.should_exit:
            self.force_exit = True
            # From Python 3.12 on a server is closed only when its connections are.
            for connection in list(self.server_state.connections):
                connection.transport.abort()
        self.should_exit = True
