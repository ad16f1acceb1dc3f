"""The whole application on doubles, as ``gateway.app`` composes it."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway.app import Parts, compose
from gateway.authenticate import digest
from gateway.exchange import Caller
from gateway.settings import Settings
from gateway.store import Store
from gateway.telemetry.log import Log
from gateway.telemetry.records import RecordStore
from gateway.telemetry.shared import SharedSeries
from gateway.upstream.fleet import Fleet
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.doubles.redis_client import FakeRedis
from tests.doubles.transport import FakeTransport
from tests.gateway.samples import budget, tier_map, token_tier
from tiers.tiermap import Route

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


def composed(shared: SharedSeries | None = None) -> Composed:
    """Two tiers, routes, a budget, and two keys of which one is for the tier ``routing`` only."""
    tiers = (token_tier("routing", aliases=("small",)), token_tier("reasoning"))
    whole = tier_map(*tiers, budgets=(budget(),), routes=(Route(name="default", tier="routing"),))
    clock = ManualClock()
    ledger = FailingLedger(clock.unix)
    redis, transport, log = FakeRedis(), FakeTransport(), io.BytesIO()
    lines = Log(log, clock)
    store = Store(
        client=redis.as_client(), commands=redis, description=f"redis://{STORE_HOST}:6379/0", remedy="Start it."
    )
    parts = compose(
        Settings(tiers_file=Path("tiers.yaml"), body_bytes_max=10_000),
        whole,
        {
            digest(KEY.encode()): Caller(name="demo"),
            digest(ROUTING_KEY.encode()): Caller(name="routing-only", tiers=frozenset({"routing"})),
        },
        fleet=Fleet.of(whole, connect=lambda *_: transport, api_key=lambda _: None),
        ledger=ledger,
        records=RecordStore(store.client, store.commands),
        store=store,
        clock=clock,
        log=lines,
        shared=shared,
    )
    return Composed(parts=parts, ledger=ledger, redis=redis, transport=transport, log=log, lines=lines)
