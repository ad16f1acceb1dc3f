"""The composition root: every part of the gateway is made here, given what it needs, and closed in order."""

import asyncio
import gc
import select
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace

from gateway import large_pages
from gateway.budget.ledger import Ledger
from gateway.budget.valkey import ValkeyLedger
from gateway.checked_map import CheckedMap
from gateway.clock import SystemClock
from gateway.descriptors import allow_descriptors
from gateway.errors import StoreUnavailable
from gateway.exchange import Clock
from gateway.file_watch import FileWatch
from gateway.journal import Journal
from gateway.parts import Parts, Place, compose
from gateway.server import BACKLOG, Server
from gateway.settings import Settings, admin_digest, check_runpod, key_pepper
from gateway.store import Store, open_store
from gateway.store.greeting import greet
from gateway.telemetry.log import Log
from gateway.telemetry.records import RecordStore
from gateway.upstream.pool import HttpTransport
from gateway.upstream.ways import Ways
from tiers.tiermap import TierMap

SWEEP_SECONDS = 5.0
"""How often overdue reservations are looked for; ``reserve`` also finds some on its way."""
GARBAGE_THRESHOLD = 50_000
"""Objects more than before at which the cycle collector looks at the youngest; Python's own value is 700."""
ERRANDS_SECONDS = 5.0
"""How long the end waits for jobs to be cancelled that nobody wants any more."""
FORGET_SECONDS = 600.0
"""How often records that are too old are looked for."""
DAY_SECONDS = 86_400
SHARE_SECONDS = 1.0
"""How often a process tells the others its series: at most what is lost of them when it is killed."""


async def serve(settings: Settings, tier_map: TierMap, text: bytes = b"") -> None:
    """Serve as the only process until SIGTERM or SIGINT, then let open answers end.

    ``text`` is what the tier map was read from.

    Raises:
        SettingsInvalid: A secret of the tier map cannot be read, or the admin key.
        OSError: The address cannot be listened on.
        StoreUnavailable: The embedded store cannot be started. (One elsewhere may come later.)
        ValueError: The store's URL is not one.
    """
    clock = SystemClock()
    log = Log(sys.stderr.buffer, clock)
    checked, admin = CheckedMap.of(tier_map, text), admin_digest(settings)
    check_runpod(settings)
    allow_descriptors(tier_map, log.event)
    store_url, data_directory = settings.store or tier_map.store, settings.state_directory / "store"
    async with open_store(store_url, data_directory=data_directory, report=log.event) as store:
        await greet(store, log.event)
        # Listening comes first: an error inside `running` is one of a group.
        with _listening(settings.host, settings.port) as listener, _admin_listening(settings) as admins:
            host, port = listener.getsockname()[:2]
            async with running(settings, checked, store=store, clock=clock, log=log, admin=admin) as parts:
                _settle_in()
                await _server(parts, settings, log).serve_until_stopped(
                    [listener, *admins],
                    lambda: log.event(
                        "gateway.listening", host=host, port=port, tiers=list(tier_map.tiers), tier_map=checked.hash
                    ),
                    hang_up=parts.reloader.ask if parts.reloader is not None else _nothing,
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
    checked = CheckedMap.of(tier_map, place.tiers)
    with place.listener, _admin_listening(settings, shared=True) as admins:
        async with (
            open_store(place.store_url, data_directory=settings.state_directory, report=log.event) as opened,
            running(
                settings,
                checked,
                store=replace(opened, description=place.store_description, remedy=place.store_remedy),
                clock=clock,
                log=log,
                admin=place.admin_digest,
                place=place,
            ) as parts,
            asyncio.TaskGroup() as group,
        ):
            _settle_in()
            server = _server(parts, settings, log)
            obeying = group.create_task(place.obey(parts.succession, server.leave))
            try:
                await server.serve_until_stopped([place.listener, *admins], place.ready, place.hang_up)
            finally:
                obeying.cancel()


@asynccontextmanager
async def running(
    settings: Settings,
    checked: CheckedMap,
    *,
    store: Store,
    clock: Clock,
    log: Log,
    admin: str = "",
    place: Place | None = None,
) -> AsyncIterator[Parts]:
    """The parts, made and wired, with their background work."""
    watch = FileWatch(*settings.map_files)
    journal = Journal(settings.state_directory / "settlements", now_unix=clock.unix, report=log.event)
    parts = compose(
        settings,
        checked,
        ways=Ways(HttpTransport),
        ledger=ValkeyLedger(store.commands, clock=clock.unix, lease_seconds=settings.slot_lease_seconds),
        records=RecordStore(store.client, store.commands, records_max=settings.records_max),
        store=store,
        clock=clock,
        log=log,
        admin=admin,
        pepper=key_pepper(settings),
        journal=journal,
        place=place,
    )
    parts.settler.adopt()
    try:
        async with _background(parts, watch, _forgetting(parts.records, settings, clock), shares=place is not None):
            yield parts
        await _book_the_rest(parts, log)
    finally:
        await parts.errands.finish(ERRANDS_SECONDS)
        parts.share()
        journal.close()
        log.flush()
        await parts.succession.aclose()


@asynccontextmanager
async def _background(
    parts: Parts, watch: FileWatch, forgetting: Coroutine[None, None, None], *, shares: bool
) -> AsyncIterator[None]:
    """The work that goes on beside requests: late settlements, records, overdue reservations, tier maps, series."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(parts.settler.run()),
            group.create_task(parts.records.run()),
            group.create_task(forgetting),
            group.create_task(_sweep(parts.ledger)),
            group.create_task(parts.succession.run()),
            group.create_task(parts.poll.run()),
            group.create_task(parts.wakes.run()),
            group.create_task(parts.gpu_seconds.run()),
            group.create_task(parts.leases.run()),
            group.create_task(parts.alerts.run()),
            group.create_task(parts.ring.run()),
        ]
        if parts.bill is not None:
            tasks.append(group.create_task(parts.bill.run()))
        if parts.reloader is not None:
            tasks.append(group.create_task(parts.reloader.follow(watch)))
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
        log.event(
            "settlements.left", count=parts.settler.unsettled, outcome="they are booked by the process that starts next"
        )
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


async def _forgetting(records: RecordStore, settings: Settings, clock: Clock) -> None:
    while True:
        with suppress(StoreUnavailable):
            await records.forget(clock.unix() - settings.records_days * DAY_SECONDS)
        await asyncio.sleep(FORGET_SECONDS)


async def _share(share: Callable[[], None], every_seconds: float = SHARE_SECONDS) -> None:
    while True:
        share()
        await asyncio.sleep(every_seconds)


def _settle_in() -> None:
    """What was made at start lives as long as the process, and a request leaves no cycles: look for them seldom."""
    gc.collect()
    gc.freeze()
    large_pages.settle_in()
    gc.set_threshold(GARBAGE_THRESHOLD)


def _listening(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=shared)


@contextmanager
def _admin_listening(settings: Settings, *, shared: bool = False) -> Iterator[list[socket.socket]]:
    """The admin API's own address, where it has one; ``shared`` by several processes."""
    if settings.admin_listen is None:
        yield []
        return
    with _listening(*settings.admin_listen, shared=shared) as listener:
        yield [listener]


def _server(parts: Parts, settings: Settings, log: Log) -> Server:
    return Server(parts.gateway, parts.serving, settings, unready=parts.drain, report=log.event)


def _nothing() -> None:
    """For a process whose parent watches the tier map."""
