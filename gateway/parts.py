"""The parts of one gateway process, made and wired: the steps into the pipeline, the pipeline into the application."""

import asyncio
import hashlib
import random
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

from gateway.admin_api import AdminDesk, add_admin
from gateway.alerts.outbox import Outbox
from gateway.alerts.watch import AlertWatch
from gateway.announcements import Announcements
from gateway.api import Desk, Gateway
from gateway.bill_api import BillDesk, add_bill
from gateway.budget.ledger import Ledger
from gateway.checked_map import CheckedMap
from gateway.conditions import Conditions
from gateway.exchange import Clock
from gateway.extension import Extensions
from gateway.generation import Generation, Workshop
from gateway.gpu_seconds.bill_watch import BillWatch
from gateway.gpu_seconds.books import StoredBooks, read_books
from gateway.gpu_seconds.reconciliation import Reconciliation
from gateway.gpu_seconds.runpod_bill import TIMEOUTS, Billed, BillUnreadable, read_bill
from gateway.gpu_seconds.watch import GpuSecondsWatch
from gateway.heartbeat import Heartbeats
from gateway.hold import Hold
from gateway.journal import Journal
from gateway.keys.cabinet import Cabinet
from gateway.keys.office import Office
from gateway.keys.ring import KeyRing
from gateway.keys.secret import kept, new_secret
from gateway.leases import Leases
from gateway.observe import Observer
from gateway.over_reports import OverReports
from gateway.relay import Relay
from gateway.reload import Reloader
from gateway.request_ids import RequestIds
from gateway.served import Outcome, Rejection, ServedMap
from gateway.serving import Serving
from gateway.settings import Settings, SettingsInvalid, read_secrets
from gateway.settle import Settler
from gateway.status import Status
from gateway.store import Store
from gateway.succession import Succession
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record_pages import record_pages
from gateway.telemetry.records import RecordStore
from gateway.telemetry.shared import SharedSeries
from gateway.upstream.allowance import Allowance
from gateway.upstream.errands import Errands
from gateway.upstream.health_poll import HealthPoll
from gateway.upstream.pool import HttpTransport
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.shared_health import StoredHealth
from gateway.upstream.transports import Transports
from gateway.upstream.wakes import Wakes
from gateway.upstream.waking import Waker
from gateway.upstream.warmths import Warmths
from gateway.upstream.ways import Ways
from gateway.usage_api import UsageDesk, add_usage
from gateway.wake_api import WakeDesk, add_wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The running gateway: the application and what works behind it."""

    gateway: Gateway
    desk: Desk = field(repr=False)
    ring: KeyRing
    """Runs beside requests: follows the store's virtual keys."""
    serving: Serving
    succession: Succession
    reloader: Reloader | None
    """Watches the tier map's file; ``None`` where the parent of several processes does."""
    settler: Settler
    records: RecordStore
    ledger: Ledger
    errands: Errands
    """Waited for before the ways to endpoints are closed."""
    poll: HealthPoll
    """Runs beside requests: looks at the health of Runpod endpoints."""
    wakes: Wakes
    """Runs beside requests: says again how many scouts are out."""
    gpu_seconds: GpuSecondsWatch
    """Runs beside requests: books billed worker seconds, and tells meters of the other processes."""
    bill: BillWatch | None
    """Runs beside requests: shows the drift of Runpod's bill; ``None`` without Runpod's key."""
    leases: Leases
    """Runs beside requests: renews the slots of those that take long."""
    alerts: AlertWatch
    """Runs beside requests: has webhooks told of what is spent."""
    drain: Callable[[], None]
    """Makes ``/readyz`` say that no new request should come."""
    share: Callable[[], None] = field(repr=False)
    """Tells this process's series to the others, where there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What one of several processes gets from their parent, which alone greets, binds, watches and starts the store."""

    listener: socket.socket
    """Its own; it listens already."""
    store_url: str = field(repr=False)
    store_description: str
    store_remedy: str
    shared: SharedSeries
    tiers: bytes = field(repr=False)
    """What the tier map was read from."""
    served: ServedMap
    rejected: Rejection | None
    admin_digest: str = field(repr=False)
    ready: Callable[[], None]
    """Is called when requests can be served."""
    reload: Callable[[], Awaitable[Outcome]]
    """Asks the parent to read the tier map's file again."""
    hang_up: Callable[[], None]
    """The same, without waiting for what comes of it."""
    obey: Callable[[Succession, Callable[[], None]], Coroutine[Any, Any, None]]
    """Does what the parent says, given what can be done: another tier map, and to leave. Runs until cancelled."""


def compose(
    settings: Settings,
    checked: CheckedMap,
    *,
    ways: Ways,
    ledger: Ledger,
    records: RecordStore,
    store: Store,
    clock: Clock,
    log: Log,
    admin: str = "",
    pepper: bytes = b"",
    journal: Journal | None = None,
    place: Place | None = None,
) -> Parts:
    """Wire the steps into the pipeline and the pipeline into the application. Does no I/O.

    ``place`` is this process's among several; ``None`` where it is the only one. ``pepper``: see ``gateway.keys``.
    """
    release, shared, errands = version("tiergate"), None if place is None else place.shared, Errands()
    metrics = Metrics(checked.tier_map, version=release, process=0 if shared is None else shared.process)
    settler = _settler(ledger, journal, metrics=metrics, clock=clock, log=log)
    times = RunpodTimes().faster(settings.runpod_speed)
    wakes, waker = _waking(store, times, log)
    ring = KeyRing(Cabinet(store.commands, pepper=pepper), pepper=pepper, clock=clock, report=log.event)
    workshop = Workshop(
        ledger=ledger, settler=settler, relay=Relay(clock=clock), clock=clock, report=log.event,
        request_ids=RequestIds(secrets.token_hex(6)), body_bytes_max=settings.body_bytes_max, ways=ways,
        transports=Transports(clock=clock, times=times, errands=errands),
        warmths=Warmths(clock, times=times, report=log.event), observe=_observer(metrics, log, records, clock),
        hold=Hold(wakes=wakes, waker=waker, heartbeats=Heartbeats(times.heartbeat), clock=clock), virtual_keys=ring,
        extensions=Extensions(ledger=ledger, clock=clock), process=secrets.token_hex(6),
    )  # fmt: skip
    served = ServedMap(generation=1, hash=checked.hash, loaded_unix=clock.unix()) if place is None else place.served
    first = workshop.make(checked, served)
    serving = Serving(first.pipeline)

    def announce(generation: Generation, rejected: Rejection | None) -> None:
        metrics.follow(generation.tier_map)
        metrics.show_map(generation.served, rejected=rejected is not None)

    succession = Succession(first, serving, make=workshop.make, announce=announce, report=log.event)
    reloader = Reloader(
        settings.map_files, checked, served, store=settings.store, server=succession, clock=clock, report=log.event
    )
    if place is not None:
        succession.note(place.rejected)
    poll, draining = _poll(succession, store, times=times, clock=clock, log=log), asyncio.Event()
    status = Status(
        succession=succession, settler=settler, ledger=ledger, records=records, store=store, metrics=metrics,
        log=log, draining=draining, clock=clock, shared=shared,
    )  # fmt: skip
    desk = _desk(succession, status, waker, ledger=ledger, clock=clock)
    gateway = Gateway(serving=serving, desk=desk, version=release)
    reload = place.reload if place is not None else partial(reloader.reload, "api")
    office = _office(succession, store, ring, pepper=pepper, clock=clock, log=log)
    admin_desk = _add_admin(gateway, settings, office, reload, digest=admin, log=log)
    add_usage(gateway, _usage(succession, records, store, ledger=ledger, clock=clock, admin=admin))
    add_wake(gateway, _wake_desk(succession, waker, metrics=metrics, clock=clock, log=log))
    reconciliation = _reconciliation(settings, succession, store, clock=clock)
    add_bill(gateway, BillDesk(admin=admin_desk.admin, reconciliation=reconciliation, clock=clock))
    return Parts(
        gateway=gateway, desk=desk, ring=ring, serving=serving, succession=succession,
        reloader=reloader if place is None else None, settler=settler, records=records, ledger=ledger,
        errands=errands, poll=poll, wakes=wakes, leases=_leases(ledger, settler, settings),
        gpu_seconds=_gpu_seconds(succession, store, poll, clock=clock, speed=settings.runpod_speed),
        bill=_bill_watch(reconciliation, metrics=metrics, clock=clock, log=log),
        alerts=_alerts(succession, ledger, store, metrics=metrics, clock=clock, log=log),
        drain=draining.set, share=status.share,
    )  # fmt: skip


def _settler(ledger: Ledger, journal: Journal | None, *, metrics: Metrics, clock: Clock, log: Log) -> Settler:
    over = OverReports(count=metrics.over_reported, clock=clock, report=log.event)
    return Settler(ledger=ledger, clock=clock, journal=journal, over_reported=over)


def _waking(store: Store, times: RunpodTimes, log: Log) -> tuple[Wakes, Waker]:
    wakes = Wakes(store.commands, back_seconds=3 * times.health_awaited)
    return wakes, Waker(wakes=wakes, report=log.event, allow=Allowance(store.commands).take)


def _wake_desk(succession: Succession, waker: Waker, *, metrics: Metrics, clock: Clock, log: Log) -> WakeDesk:
    announcements = Announcements(
        tier_map=lambda: succession.current.tier_map,
        fleet=lambda: succession.current.fleet,
        waker=waker,
        clock=clock,
        count=metrics.warmth.announced,
        report=log.event,
    )
    return WakeDesk(authenticate=succession.authenticate, announce=announcements)


def _leases(ledger: Ledger, settler: Settler, settings: Settings) -> Leases:
    return Leases(ledger, settler.live, lease_seconds=settings.slot_lease_seconds)


def _poll(succession: Succession, store: Store, *, times: RunpodTimes, clock: Clock, log: Log) -> HealthPoll:
    return HealthPoll(
        lambda: [generation.fleet for generation in succession.living],
        StoredHealth(store.commands, clock=clock),
        times=times,
        clock=clock,
        report=log.event,
    )


def _desk(
    succession: Succession,
    status: Status,
    waker: Waker,
    *,
    ledger: Ledger,
    clock: Clock,
) -> Desk:
    conditions = Conditions(
        tier_map=lambda: succession.current.tier_map.tiers,
        fleet=lambda: succession.current.fleet,
        queue_lengths=status.queue_lengths,
        ledger=ledger,
        waker=waker,
        clock=clock,
    )
    return Desk(
        authenticate=succession.authenticate,
        names=succession.names,
        contexts=succession.contexts,
        readiness=status.readiness,
        metrics=status.scrape,
        balances=status.balances,
        records=status.recent,
        tiers=conditions.tiers,
        wake=conditions.wake,
    )


def _office(succession: Succession, store: Store, ring: KeyRing, *, pepper: bytes, clock: Clock, log: Log) -> Office:
    return Office(
        cabinet=Cabinet(store.commands, pepper=pepper),
        clock=clock,
        new_secret=new_secret,
        new_id=lambda: f"key_{secrets.token_hex(8)}",
        kept=lambda secret: kept(pepper, hashlib.sha256(secret.encode()).digest()),
        tiers=lambda: succession.current.tier_map.tiers,
        taken=lambda: [key.name for key in succession.current.tier_map.keys],
        changed=ring.refresh,
        report=log.event,
    )


def _add_admin(
    gateway: Gateway,
    settings: Settings,
    office: Office,
    reload: Callable[[], Awaitable[Outcome]],
    *,
    digest: str,
    log: Log,
) -> AdminDesk:
    port = settings.admin_listen[1] if settings.admin_listen is not None else 0
    desk = AdminDesk(digest=digest, port=port, office=office, reload=reload, report=log.event)
    add_admin(gateway, desk)
    return desk


def _usage(
    succession: Succession, records: RecordStore, store: Store, *, ledger: Ledger, clock: Clock, admin: str
) -> UsageDesk:
    return UsageDesk(
        authenticate=succession.authenticate,
        admin_digest=admin,
        flush=records.flush,
        pages=lambda: record_pages(store.client),
        ledger=ledger,
        budgets=lambda: succession.current.tier_map.budgets,
        clock=clock,
    )


def _alerts(
    succession: Succession, ledger: Ledger, store: Store, *, metrics: Metrics, clock: Clock, log: Log
) -> AlertWatch:
    return AlertWatch(
        ledger=ledger,
        outbox=Outbox(store.commands, process=secrets.token_hex(6)),
        budgets=lambda: succession.current.tier_map.budgets,
        webhooks=lambda: succession.current.webhooks,
        connect=partial(HttpTransport, idle_max=0),
        clock=clock,
        draw=random.SystemRandom().random,
        new_id=partial(secrets.token_hex, 12),
        report=log.event,
        count=metrics.alerts.count,
    )


def _gpu_seconds(
    succession: Succession, store: Store, poll: HealthPoll, *, clock: Clock, speed: float
) -> GpuSecondsWatch:
    return GpuSecondsWatch(
        lambda: [generation.fleet for generation in succession.living],
        StoredBooks(store.commands),
        leading=lambda: poll.leading,
        clock=clock,
        speed=speed,
    )


def _reconciliation(settings: Settings, succession: Succession, store: Store, *, clock: Clock) -> Reconciliation | None:
    """``None`` where there is no key of Runpod's."""
    key = settings.runpod_key
    if key is None:
        return None

    async def read(since_unix: float, until_unix: float) -> list[Billed]:
        try:
            secret = read_secrets([key])[key]
        except SettingsInvalid as error:  # it could be read at the start
            raise BillUnreadable(f"Runpod's key cannot be read: {error}") from error
        transport = HttpTransport(settings.runpod_url, TIMEOUTS, idle_max=0)
        try:
            return await read_bill(transport, secret, since_unix, until_unix)
        finally:
            await transport.aclose()

    return Reconciliation(
        bill=read,
        books=lambda since, until: read_books(store.client, since, until),
        tier_map=lambda: succession.current.tier_map,
        clock=clock,
        speed=settings.runpod_speed,
    )


def _bill_watch(reconciliation: Reconciliation | None, *, metrics: Metrics, clock: Clock, log: Log) -> BillWatch | None:
    if reconciliation is None:
        return None
    return BillWatch(reconciliation, show=metrics.bill.show, clock=clock, report=log.event)


def _observer(metrics: Metrics, log: Log, records: RecordStore, clock: Clock) -> Observer:
    return Observer(
        hooks=[
            metrics.observe,
            log.request,
            records.keep,
        ],
        clock=clock,
    )
