"""The whole application on doubles, as ``gateway.parts`` composes it."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway.authenticate import digest
from gateway.checked_map import CheckedMap
from gateway.parts import Parts, Place, compose
from gateway.served import Outcome, Rejection, ServedMap
from gateway.settings import Settings
from gateway.store import Store
from gateway.telemetry.log import Log
from gateway.telemetry.records import RecordStore
from gateway.telemetry.shared import SharedSeries
from gateway.upstream.transport import Transport
from gateway.upstream.ways import Ways
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.doubles.redis_client import FakeRedis
from tests.doubles.transport import FakeTransport
from tests.gateway.samples import budget, tier_map, token_tier
from tiers.tiermap import Key, Route, Timeouts

KEY, ROUTING_KEY = "sk-the-whole-map", "sk-routing-only"
BASE = "http://gateway.test"
STORE_HOST = "internal-host"


@dataclass(slots=True, kw_only=True)
class Composed:
    """The parts, and what they were given."""

    parts: Parts
    ledger: FailingLedger
    redis: FakeRedis
    transport: FakeTransport
    log: io.BytesIO
    lines: Log
    """Writes to ``log``, a moment later."""

    @asynccontextmanager
    async def client(self, key: str | None = KEY, *, raises: bool = True) -> AsyncIterator[httpx.AsyncClient]:
        """An HTTP client of the application; ``raises`` what the application raises."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(app=self.parts.gateway, raise_app_exceptions=raises)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
            yield client

    async def get(self, path: str, *, key: str | None = KEY) -> httpx.Response:
        """GET."""
        async with self.client(key) as client:
            return await client.get(path)

    def logged(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        self.lines.flush()
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def composed(
    place: Place | None = None,
    *,
    admin: str = "",
    tiers_file: Path = Path("tiers.yaml"),
    connect: Callable[[str, Timeouts], Transport] | None = None,
) -> Composed:
    """Two tiers, routes, a budget, and two keys of which one is for the tier ``routing`` only."""
    tiers = (token_tier("routing", aliases=("small",)), token_tier("reasoning"))
    keys = (
        Key(name="demo", hash=digest(KEY.encode())),
        Key(name="routing-only", hash=digest(ROUTING_KEY.encode()), tiers=("routing",)),
    )
    whole = tier_map(*tiers, budgets=(budget(),), routes=(Route(name="default", tier="routing"),), keys=keys)
    clock = ManualClock()
    ledger = FailingLedger(clock.unix)
    redis, transport, log = FakeRedis(), FakeTransport(), io.BytesIO()
    lines = Log(log, clock)
    store = Store(
        client=redis.as_client(), commands=redis, description=f"redis://{STORE_HOST}:6379/0", remedy="Start it."
    )
    parts = compose(
        Settings(tiers_file=tiers_file, body_bytes_max=10_000),
        CheckedMap.of(whole, b"the map"),
        ways=Ways(connect or (lambda *_: transport)),
        ledger=ledger,
        records=RecordStore(store.client, store.commands),
        store=store,
        clock=clock,
        log=lines,
        admin=admin,
        place=place,
    )
    return Composed(parts=parts, ledger=ledger, redis=redis, transport=transport, log=log, lines=lines)


def place_of(shared: SharedSeries) -> Place:
    """One of several processes that ``shared`` brings together."""
    unused = socket.socket()
    unused.close()
    return Place(
        listener=unused,
        store_url="",
        store_description="",
        store_remedy="",
        shared=shared,
        tiers=b"the map",
        served=ServedMap(generation=7, hash="abc", loaded_unix=1.0),
        rejected=Rejection(hash="def", since_unix=2.0, problems=("it is bad",)),
        admin_digest="",
        ready=nothing,
        reload=asked,
        hang_up=nothing,
        obey=lambda *_: asyncio.sleep(0),
    )


def nothing() -> None:
    """Hears it, and that is all."""


async def asked() -> Outcome:
    """What the parent answers."""
    return Outcome(result="unchanged", generation=7, hash="abc")
