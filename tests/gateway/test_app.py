"""The whole gateway, composed as it runs: with a real store, real sockets, and a way to stop."""

import asyncio
import contextlib
import io
import json
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import _share, _sweep, running, serve
from gateway.authenticate import digest
from gateway.budget.ledger import Claim, Concerned, Reserved
from gateway.checked_map import CheckedMap
from gateway.clock import SystemClock
from gateway.errors import StoreUnavailable
from gateway.parts import Parts
from gateway.settings import Settings, SettingsInvalid
from gateway.store import Store, open_store
from gateway.telemetry.log import Log
from gateway.telemetry.shared import Roster, SharedSeries
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.gateway.composed import place_of
from tests.gateway.samples import budget, request, tier_map, token_tier
from tests.stores import eventually
from tiers.budgets import concerns
from tiers.tiermap import Endpoint, Key, Route, SecretReference, TierMap

MODEL = "org/routing-8B"
KEY, UPSTREAM_KEY = "sk-caller", "sk-upstream"
KNOWN = {SecretReference("env", "CALLER"): KEY, SecretReference("env", "UPSTREAM"): UPSTREAM_KEY}
KEYS = (
    Key(name="demo", secret=SecretReference("env", "CALLER")),
    Key(name="hashed", hash=digest(b"sk-hashed"), tiers=("routing",)),
)
BOUND_SECONDS = 20.0
NOBODY = "redis://127.0.0.1:1/0"
"""A store that is not there: port 1 is nobody's."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIUpstream]:
    with OpenAIUpstream(models=(MODEL,), api_key=UPSTREAM_KEY).in_thread() as running_upstream:
        yield running_upstream


def map_of(url: str, *, store: str = "embedded") -> TierMap:
    """A tier map with one tier at ``url`` and one budget."""
    endpoint = Endpoint(name="routing/0", url=url, api_key=SecretReference("env", "UPSTREAM"))
    whole = tier_map(
        token_tier(endpoints=(endpoint,), context=100_000, output=1000),
        budgets=(budget(),),
        routes=(Route(name="default", tier="routing"),),
        keys=KEYS,
    )
    return TierMap(
        store=store, tiers=whole.tiers, routes=whole.routes, budgets=whole.budgets, keys=KEYS, names=whole.names
    )


def checked(tiers: TierMap) -> CheckedMap:
    """With its secrets."""
    return CheckedMap(tier_map=tiers, text=b"the map", known=KNOWN)


class Running:
    """A gateway that runs, and its log."""

    def __init__(self, parts: Parts, log: io.BytesIO) -> None:
        self.parts = parts
        self.log = log

    async def ask(self, method: str, path: str, *, key: str = KEY, body: bytes = b"") -> httpx.Response:
        """One HTTP request to the application."""
        transport = httpx.ASGITransport(app=self.parts.gateway)
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test", headers=headers) as client:
            return await client.request(method, path, content=body)


@asynccontextmanager
async def gateway(tiers: TierMap, store: Store, log: io.BytesIO | None = None) -> AsyncIterator[Running]:
    """The parts on a store that is open."""
    written = io.BytesIO() if log is None else log
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as state:
        settings = Settings(tiers_file=Path("tiers.yaml"), state_directory=Path(state))
        async with running(settings, checked(tiers), store=store, clock=clock, log=Log(written, clock)) as parts:
            yield Running(parts, written)


@pytest.mark.integration
async def test_the_parts_work_together_on_a_real_store(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    """An answer, its cost on the budget, its record and its metrics; the keys of the map open the door."""
    tiers = map_of(upstream.url)
    async with (
        open_store("embedded", data_directory=tmp_path / "store") as store,
        gateway(tiers, store) as subject,
    ):
        answer = await subject.ask("POST", "/v1/chat/completions", body=request("auto"))
        assert answer.status_code == 200
        assert answer.headers["x-tiergate-reason"] == "route:default"
        [balance] = (await subject.ask("GET", "/tiergate/v1/budgets")).json()["data"]
        assert balance["settled"] > 0
        assert balance["held"] == 0
        [record] = (await subject.ask("GET", "/tiergate/v1/requests")).json()["data"]
        assert record["request_id"] == answer.headers["x-request-id"]
        assert record["cost_microdollars"] == balance["settled"]
        assert (await subject.ask("GET", "/readyz")).status_code == 200
        assert 'tiergate_requests_total{endpoint="routing/0"' in (await subject.ask("GET", "/metrics")).text
        assert (await subject.ask("GET", "/v1/models", key="sk-hashed")).status_code == 200
        assert (await subject.ask("GET", "/v1/models", key=digest(b"sk-hashed"))).status_code == 401
    assert b"request.ended" in subject.log.getvalue()
    assert KEY.encode() not in subject.log.getvalue()


async def test_overdue_reservations_are_looked_for_beside_requests() -> None:
    """Those of a process that died are charged although nobody asks; a store that was away is asked again."""
    clock = ManualClock()
    ledger = FailingLedger(clock.unix)
    ledger.down = {"expire"}
    concerned = Concerned(concerns([budget()], tier="routing", agent="", key="demo", flow="", run=""))
    orphan = Claim(id="orphan", slot=None, concerned=concerned, amounts=[500], life_seconds=60)
    assert await ledger.reserve(orphan) == Reserved()
    clock.advance(60)
    sweeping = asyncio.ensure_future(_sweep(ledger, 0.001))
    await eventually(lambda: ledger.asked["expire"] >= 2)
    ledger.down = set()

    async def charged() -> bool:
        [balance] = await ledger.memory.balances((budget(),))
        return (balance.settled, balance.held) == (500, 0)

    await eventually(charged)
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping


async def test_series_are_shared_again_and_again() -> None:
    """At once and then every so often."""
    shared: list[int] = []
    sharing = asyncio.ensure_future(_share(lambda: shared.append(1), 0.001))
    await eventually(lambda: len(shared) >= 3)
    sharing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sharing


async def test_one_of_several_processes_shares_its_series_to_the_end(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    """The last requests, too, and under its own number."""
    roster = Roster(tmp_path)
    one, other = (SharedSeries(tmp_path, roster.begin(number), process=number) for number in (0, 1))
    tiers, clock = map_of(upstream.url), SystemClock()
    async with open_store(NOBODY, data_directory=Path()) as store:
        async with running(
            Settings(tiers_file=Path("tiers.yaml")), checked(tiers), store=store, clock=clock,
            log=Log(io.BytesIO(), clock), place=place_of(one),
        ) as parts:  # fmt: skip
            await eventually(lambda: bool(other.others()[0].totals))
            answer = await Running(parts, io.BytesIO()).ask("POST", "/v1/chat/completions", body=request())
            assert answer.status_code == 503
        [seen] = other.others()
    [(_, ended)] = seen.totals["tiergate_requests_total"].values()
    assert ended == 1
    assert list(seen.gauges["tiergate_resident_memory_bytes"]) == [("0",)]


async def test_a_gateway_without_its_store_runs_refuses_and_says_what_it_lost(upstream: OpenAIUpstream) -> None:
    """Nothing is spent; at the end the log has what could not be written."""
    log = io.BytesIO()
    tiers = map_of(upstream.url)
    async with open_store(NOBODY, data_directory=Path()) as store, gateway(tiers, store, log) as subject:
        answer = await subject.ask("POST", "/v1/chat/completions", body=request())
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
        assert (await subject.ask("GET", "/readyz")).status_code == 503
        assert "tiergate_store_up 0.0" in (await subject.ask("GET", "/metrics")).text
        assert subject.parts.settler.unsettled == 1
    events = {line["event"]: line for line in map(json.loads, log.getvalue().splitlines())}
    assert events["settlements.left"]["count"] == 1
    assert "records.lost" in events


def settings_of(tmp_path: Path, **fields: Any) -> Settings:  # noqa: ANN401 - any of the settings
    """Settings for a short life on a free port."""
    return Settings(
        **{"tiers_file": Path("tiers.yaml"), "port": 0, "state_directory": tmp_path, "drain_seconds": 1, **fields}
    )


@pytest.fixture
def secrets_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLER", KEY)
    monkeypatch.setenv("UPSTREAM", UPSTREAM_KEY)


class Served:
    """``serve`` on the test's own loop; stopped by signals to this process, since that is how it is stopped."""

    def __init__(self, task: "asyncio.Task[None]", capture: pytest.CaptureFixture[bytes]) -> None:
        self._task = task
        self._capture = capture
        self._log = b""

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        self._log += self._capture.readouterr().err
        whole = self._log[: self._log.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]

    def begun(self) -> bool:
        """Whether it listens, or has ended already."""
        return self._task.done() or any(line["event"] == "gateway.listening" for line in self.lines())

    @property
    def port(self) -> int:
        """Where it listens."""
        [port] = [int(line["port"]) for line in self.lines() if line["event"] == "gateway.listening"]
        return port

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the gateway, which must be there to take it."""
        assert not self._task.done()
        os.kill(os.getpid(), number)

    async def end(self) -> None:
        """Wait until it has stopped."""
        async with asyncio.timeout(BOUND_SECONDS):
            await self._task


@asynccontextmanager
async def served(settings: Settings, tiers: TierMap, capture: pytest.CaptureFixture[bytes]) -> AsyncIterator[Served]:
    """A gateway that listens; cancelled at the end if it was not stopped."""
    task = asyncio.ensure_future(serve(settings, tiers))
    subject = Served(task, capture)
    try:
        await eventually(subject.begun, BOUND_SECONDS)
        yield subject
    finally:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.mark.integration
@pytest.mark.usefixtures("secrets_set")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_gateway_serves_until_it_is_told_to_stop(
    tmp_path: Path, upstream: OpenAIUpstream, capfdbinary: pytest.CaptureFixture[bytes], number: signal.Signals
) -> None:
    """By either signal, and the stop is a success: the log tells its life from the store's start to its end.

    Other signals do not end it: one has the tier map read again, whose file is not there here.
    """
    async with served(settings_of(tmp_path), map_of(upstream.url), capfdbinary) as subject:
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{subject.port}", headers=headers) as client:
            assert (await client.post("/v1/chat/completions", content=request())).status_code == 200
            assert (await client.get("/readyz")).status_code == 200
            subject.signal(signal.SIGUSR2)
            subject.signal(signal.SIGHUP)
            await eventually(lambda: any(line["event"] == "tier_map.rejected" for line in subject.lines()))
            assert (await client.get("/readyz")).status_code == 200
        subject.signal(number)
        await subject.end()
        events = [line["event"] for line in subject.lines()]
    assert events == ["store.ready", "gateway.listening", "request.ended", "tier_map.rejected", "gateway.stopped"]


@pytest.mark.usefixtures("secrets_set")
async def test_an_address_that_is_taken_is_told_as_such(tmp_path: Path) -> None:
    """As the system's error and not as one of a group; nothing was started that would have to be stopped."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_of(tmp_path, port=taken.getsockname()[1], store=NOBODY)
        with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
            await serve(settings, map_of("http://127.0.0.1:1/v1"))


@pytest.mark.usefixtures("secrets_set")
async def test_a_store_elsewhere_may_come_later(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The gateway starts without it and says so; ``--store`` goes before the tier map's."""
    tiers = map_of("http://127.0.0.1:1/v1")
    async with served(settings_of(tmp_path, store=NOBODY), tiers, capfdbinary) as subject:
        subject.signal(signal.SIGTERM)
        await subject.end()
        [unavailable, listening, stopped] = subject.lines()
    assert (unavailable["event"], unavailable["store"]) == ("store.unavailable", NOBODY)
    assert (listening["event"], listening["tiers"]) == ("gateway.listening", ["routing"])
    assert stopped["event"] == "gateway.stopped"


@pytest.mark.usefixtures("secrets_set")
async def test_a_second_signal_does_not_wait_for_open_answers(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The first one gives them time."""
    settings = settings_of(tmp_path, store=NOBODY, drain_seconds=600)
    async with served(settings, map_of("http://127.0.0.1:1/v1"), capfdbinary) as subject:
        port = subject.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-caller\r\n")
        writer.write(b"content-length: 10\r\nexpect: 100-continue\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        subject.signal(signal.SIGTERM)
        await eventually(lambda: not _answers(port))
        subject.signal(signal.SIGTERM)
        await subject.end()
        writer.close()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


async def test_a_secret_that_is_missing_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is opened."""
    monkeypatch.delenv("CALLER", raising=False)
    monkeypatch.delenv("UPSTREAM", raising=False)
    with pytest.raises(SettingsInvalid, match="env:CALLER") as caught:
        await serve(settings_of(tmp_path), map_of("http://127.0.0.1:1/v1"))
    assert "env:UPSTREAM" in str(caught.value)
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("secrets_set")
async def test_an_embedded_store_that_cannot_start_stops_the_start(tmp_path: Path) -> None:
    """Its directory is a file."""
    (tmp_path / "store").write_text("in the way")
    with pytest.raises((StoreUnavailable, OSError)):
        await serve(settings_of(tmp_path), map_of("http://127.0.0.1:1/v1"))
