"""From balances to webhooks: a real store, a real HTTP server, and balances that a test sets."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.alerts.outbox import Mark, Outbox
from gateway.alerts.watch import AlertWatch
from gateway.alerts.webhook import webhooks_of
from gateway.budget.ledger import Balance
from gateway.errors import StoreUnavailable
from gateway.store.multiplexed import Multiplexed
from gateway.upstream.pool import HttpTransport
from tests.doubles.clock import ManualClock
from tests.doubles.scripted_server import Close, Receive, ScriptedServer, Send, Step, Until
from tests.stores import commands_of, eventually
from tiers.tiermap import Alerts, Budget, Owner, Retry, TierMap
from tiers.windows import Window

pytestmark = pytest.mark.integration

OK = Send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
BUSY = Send(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
TAKES: Sequence[Step] = (Receive(), OK, Close())
REFUSES: Sequence[Step] = (Receive(), BUSY, Close())
AT_ONCE = Retry(attempts=3, backoff=0.0)
DAY = Window(kind="calendar", seconds=86_400, unit="day")
ROLLING = Window(kind="rolling", seconds=3600)


class Balances:
    """What is spent, as a test says; ``asked`` counts."""

    def __init__(self) -> None:
        self.settled: dict[str, int] = {}
        self.asked = 0
        self.away = False
        self.window_seconds = 3600.0

    async def balances(self, budgets: Sequence[Budget]) -> list[Balance]:
        """As ``Ledger.balances``: the same owners in each budget."""
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        return [
            Balance(
                budget=budget.name, owner=owner, unit=budget.unit, limit=budget.limit, settled=settled, held=90,
                window_ends_in_seconds=self.window_seconds,
            )
            for budget in budgets
            for owner, settled in self.settled.items()
        ]  # fmt: skip


class Bench:
    """Processes that watch the same balances; what they said, and what they counted."""

    def __init__(self, commands: Multiplexed, prefix: str, url: str) -> None:
        self.ledger = Balances()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.counted: list[tuple[str, str]] = []
        self.budgets = [
            Budget(
                name="daily",
                owner=Owner(kind="agent", pattern="*"),
                unit="USD",
                limit=100,
                window=DAY,
                alerts=Alerts(at=(50, 80), webhook=url),
            )
        ]
        self._commands = commands
        self._prefix = prefix
        self._ids = itertools.count(1)
        self._processes = itertools.count(1)

    def process(self, commands: Multiplexed | None = None, *, lease_seconds: float = 60.0) -> AlertWatch:
        """One more that shares the store."""
        return AlertWatch(
            ledger=self.ledger,
            outbox=Outbox(commands or self._commands, process=f"p{next(self._processes)}", prefix=self._prefix),
            budgets=lambda: self.budgets,
            webhooks=lambda: webhooks_of(TierMap(store="embedded", tiers={}, budgets=tuple(self.budgets)), {}),
            connect=partial(HttpTransport, idle_max=0),
            clock=ManualClock(),
            draw=lambda: 0.5,
            new_id=lambda: f"id{next(self._ids)}",
            report=self._heard,
            count=lambda budget, result, _: self.counted.append((budget, result)),
            retry=AT_ONCE,
            look_seconds=0.005,
            lease_seconds=lease_seconds,
        )

    def _heard(self, event: str, /, **keys: object) -> None:
        self.events.append((event, keys))

    @property
    def said(self) -> list[str]:
        """The events' names."""
        return [event for event, _ in self.events]


class Hook:
    """The webhook's side: a server, and what it was told."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server

    @property
    def told(self) -> list[dict[str, Any]]:
        """The bodies, in order."""
        return [msgspec.json.decode(request.partition(b"\r\n\r\n")[2]) for request in self.server.requests]

    @property
    def parts(self) -> list[tuple[str, int]]:
        """Whose budget, and to which part."""
        return sorted((each["owner"], each["percent"]) for each in self.told)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """One that takes everything."""
    async with ScriptedServer(TAKES) as server:
        yield Hook(server)


@pytest.fixture
def bench(commands: Multiplexed, prefix: str, hook: Hook) -> Bench:
    return Bench(commands, prefix, f"http://127.0.0.1:{hook.server.port}/hook")


async def test_a_part_is_told_once_in_a_window(bench: Bench, hook: Hook) -> None:
    """What is only held does not count: it may come back."""
    watch = bench.process()
    bench.ledger.settled = {"writer": 49}
    await watch.look()
    assert hook.told == []
    for settled, expected in ((50, [50]), (79, [50]), (81, [50, 80]), (500, [50, 80])):
        bench.ledger.settled = {"writer": settled}
        await watch.look()
        assert [each["percent"] for each in hook.told] == expected
    [first, _] = hook.told
    assert (first["budget"], first["owner"], first["settled"], first["limit"]) == ("daily", "writer", 50, 100)
    assert bench.said == ["alert.sent", "alert.sent"]
    assert bench.counted == [("daily", "sent"), ("daily", "sent")]


async def test_each_owner_has_parts_of_its_own(bench: Bench, hook: Hook) -> None:
    bench.ledger.settled = {"writer": 90, "router": 60, "idle": 10}
    await bench.process().look()
    assert hook.parts == [("router", 50), ("writer", 50), ("writer", 80)]


async def test_two_processes_tell_it_once(bench: Bench, hook: Hook, valkey: Path) -> None:
    """One of them looks; both post what is due, each alert by one of them."""
    bench.ledger.settled = {f"agent-{number}": 100 for number in range(10)}
    async with commands_of(valkey) as other:
        processes = [bench.process(), bench.process(other)]
        for _ in range(3):
            await asyncio.gather(*(process.look() for process in processes))
    assert len(hook.told) == 20
    assert len({each["id"] for each in hook.told}) == 20
    assert bench.ledger.asked == 3


async def test_the_process_that_looks_is_replaced_when_it_is_gone(bench: Bench, hook: Hook) -> None:
    await bench.process(lease_seconds=0.02).look()
    bench.ledger.settled = {"writer": 50}
    other = bench.process()

    async def told() -> bool:
        await other.look()
        return bool(hook.told)

    await eventually(told)
    assert hook.parts == [("writer", 50)]


async def test_a_new_window_is_told_of_again(bench: Bench, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.alerts.watch.GRACE_SECONDS", 0.0)
    bench.ledger.settled, bench.ledger.window_seconds = {"writer": 50}, 0.05
    watch = bench.process()
    await watch.look()
    bench.ledger.window_seconds = 60.0

    async def again() -> bool:
        await watch.look()
        return len(hook.told) > 1

    await eventually(again)
    assert hook.parts == [("writer", 50), ("writer", 50)]
    assert len({each["id"] for each in hook.told}) == 2


async def test_a_rolling_window_is_told_of_again_only_after_less_was_spent(bench: Bench, hook: Hook) -> None:
    bench.budgets = [replace(bench.budgets[0], window=ROLLING)]
    watch = bench.process()
    for settled in (50, 60, 49, 51):
        bench.ledger.settled = {"writer": settled}
        await watch.look()
    assert hook.parts == [("writer", 50), ("writer", 50)]
    assert [each["window_ends"] for each in hook.told] == [None, None]


async def test_a_rolling_window_that_nothing_is_left_of_counts_as_less(bench: Bench, hook: Hook) -> None:
    """The ledger then does not name the owner at all."""
    bench.budgets = [replace(bench.budgets[0], window=ROLLING)]
    watch = bench.process()
    for settled in ({"writer": 50}, {}, {"writer": 50}):
        bench.ledger.settled = settled
        await watch.look()
    assert len(hook.told) == 2


async def test_budgets_without_alerts_are_not_looked_at(bench: Bench) -> None:
    bench.budgets = [replace(bench.budgets[0], alerts=None)]
    await bench.process().look()
    assert bench.ledger.asked == 0


async def test_a_webhook_that_fails_is_tried_again_with_the_same_id(commands: Multiplexed, prefix: str) -> None:
    async with ScriptedServer(REFUSES, TAKES) as server:
        hook, bench = Hook(server), Bench(commands, prefix, f"http://127.0.0.1:{server.port}/")
        bench.ledger.settled = {"writer": 50}
        watch = bench.process()

        async def sent() -> bool:
            await watch.look()
            return "alert.sent" in bench.said

        await eventually(sent)
        first, second = hook.told
        assert first == second
        assert bench.said == ["alert.failed", "alert.sent"]
        [(_, failed), (_, done)] = bench.events
        assert (failed["tries"], failed["reason"], failed["again_in_seconds"]) == (1, "it answered with status 503", 0)
        assert (done["tries"], done["owner"], done["percent"]) == (2, "writer", 50)


async def test_a_webhook_that_fails_for_good_is_given_up(commands: Multiplexed, prefix: str) -> None:
    """And the part stays noted: it is not told of again in this window."""
    async with ScriptedServer(REFUSES) as server:
        bench = Bench(commands, prefix, f"http://127.0.0.1:{server.port}/")
        bench.ledger.settled = {"writer": 50}
        watch = bench.process()

        async def given_up() -> bool:
            await watch.look()
            return "alert.given_up" in bench.said

        await eventually(given_up)
        await watch.look()
        assert bench.said == ["alert.failed", "alert.failed", "alert.given_up"]
        assert bench.counted == [("daily", "failed"), ("daily", "failed"), ("daily", "given_up")]
        assert len(server.requests) == AT_ONCE.attempts


async def test_an_alert_outlives_the_process_that_posts_it(commands: Multiplexed, prefix: str) -> None:
    """It was killed between the store and the webhook's answer."""
    silence = asyncio.Event()
    async with ScriptedServer([Receive(), Until(silence)], TAKES) as server:
        hook, bench = Hook(server), Bench(commands, prefix, f"http://127.0.0.1:{server.port}/")
        bench.ledger.settled = {"writer": 50}
        async with asyncio.TaskGroup() as group:
            dying = group.create_task(bench.process(lease_seconds=0.05).look())
            await server.until(lambda: len(server.requests) == 1)
            dying.cancel()
        bench.ledger.settled = {}
        heir = bench.process()

        async def sent() -> bool:
            await heir.look()
            return "alert.sent" in bench.said

        await eventually(sent)
        first, second = hook.told
        assert first == second


async def test_an_alert_whose_budget_has_no_webhook_here_waits_for_a_process_that_knows_one(
    bench: Bench, hook: Hook
) -> None:
    """Processes take over a new tier map one after the other."""
    known = bench.budgets
    bench.ledger.settled = {"writer": 50}
    watch = bench.process()
    await watch.look()
    bench.budgets = [replace(known[0], name="weekly")]
    bench.ledger.settled = {}
    outbox = Outbox(bench._commands, process="p1", prefix=bench._prefix)
    body = msgspec.json.encode({**hook.told[0], "id": "late"})
    await outbox.note([Mark(key="k", life_seconds=60, id="late", body=body)])
    await watch.look()
    assert bench.events[-1][0] == "alert.failed"
    assert "no alerts of this budget" in bench.events[-1][1]["reason"]
    bench.budgets = known

    async def sent() -> bool:
        await watch.look()
        return bench.said[-1] == "alert.sent"

    await eventually(sent)
    assert hook.told[-1]["id"] == "late"


async def test_what_another_version_noted_and_cannot_be_read_is_let_go(bench: Bench, hook: Hook) -> None:
    outbox = Outbox(bench._commands, process="p1", prefix=bench._prefix)
    await outbox.note([Mark(key="k", life_seconds=60, id="odd", body=b'{"id": 5}')])
    watch = bench.process()
    await watch.look()
    assert (hook.told, bench.events) == ([], [])
    assert await outbox.take(lease_seconds=60, most=10) == []


async def test_it_goes_on_when_the_store_was_away(bench: Bench, hook: Hook) -> None:
    bench.ledger.settled, bench.ledger.away = {"writer": 50}, True
    async with asyncio.TaskGroup() as group:
        running = group.create_task(bench.process().run())
        await eventually(lambda: bench.ledger.asked > 1)
        assert hook.told == []
        bench.ledger.away = False
        await hook.server.until(lambda: len(hook.server.requests) == 1)
        await eventually(lambda: bench.said == ["alert.sent"])
        running.cancel()


async def test_a_store_that_goes_away_while_an_alert_is_posted_is_asked_later(bench: Bench, hook: Hook) -> None:
    """What was posted may then be posted once more."""
    bench.ledger.settled = {"writer": 50}
    watch = bench.process(lease_seconds=0.02)
    finish = watch._outbox._finish
    watch._outbox._finish = Away()  # type: ignore[assignment]
    await watch.look()
    watch._outbox._finish = finish

    async def again() -> bool:
        await watch.look()
        return len(hook.told) > 1

    await eventually(again)
    first, second = hook.told
    assert first == second


class Away:
    """A script in a store that does not answer."""

    async def run(self, *_: object) -> None:
        """As ``Script.run``."""
        raise StoreUnavailable("away")
