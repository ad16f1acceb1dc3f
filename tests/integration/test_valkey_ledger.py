"""What is the store's own in its ledger: scripts, keys, expiries, failures and several processes."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ResponseError

from gateway.budget.ledger import ENDED_SECONDS, Claim, NoBudget, NoSlot, Reserved
from gateway.budget.valkey import ValkeyLedger
from gateway.clock import SystemClock
from gateway.errors import StoreUnavailable
from gateway.store import open_store
from gateway.store.multiplexed import Multiplexed
from tests.contract.ledgers import budget_of, claim, hold
from tests.contract.moved import START, MovedCommands, set_time
from tests.stores import ManualClock, eventually, pass_store_time
from tiers.windows import Window

pytestmark = pytest.mark.integration

DAY = 86_400

RACER = """
import asyncio, sys
from gateway.budget.ledger import Reserved
from gateway.budget.valkey import ValkeyLedger
from gateway.clock import SystemClock
from tests.contract.ledgers import claim, hold
from tests.stores import commands_of

async def main(socket, prefix, name):
    async with commands_of(socket) as commands:
        ledger = ValkeyLedger(commands, prefix=prefix, clock=SystemClock().unix)
        print("ready", flush=True)
        sys.stdin.readline()
        claims = [claim(f"{name}-{i}", hold(1), slots=7) for i in range(50)]
        answers = await asyncio.gather(*(ledger.reserve(one) for one in claims))
        print(sum(isinstance(answer, Reserved) for answer in answers), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_share_a_budget_for_five(valkey: Path, commands: Multiplexed, prefix: str) -> None:
    """A hundred requests through two gateways at once: five pass."""
    racers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", RACER, str(valkey), prefix, name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in ("one", "two")
    ]
    for racer in racers:
        assert racer.stdout
        assert await racer.stdout.readline() == b"ready\n"
    passed = [int((await racer.communicate(b"\n"))[0]) for racer in racers]
    assert sum(passed) == 5
    [balance] = await ValkeyLedger(commands, prefix=prefix, clock=SystemClock().unix).balances([budget_of()])
    assert (balance.settled, balance.held) == (0, 5)


async def test_a_store_that_forgot_the_scripts_gets_them_again(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """As after its restart: nobody notices."""
    ledger = ValkeyLedger(commands, prefix=prefix, clock=SystemClock().unix)
    assert await ledger.reserve(claim("r", hold(2))) == Reserved()
    await client.script_flush()
    assert await ledger.settle(claim("r", hold(2)), [1])
    await client.script_flush()
    answers = await asyncio.gather(*(ledger.reserve(claim(f"s{i}", hold(1))) for i in range(4)))
    assert answers == [Reserved()] * 4


async def test_all_keys_lie_in_one_slot_of_a_cluster_and_none_stays_for_ever(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """One hash tag before anything that callers choose, and an expiry on all but the list of deadlines."""
    ledger = ValkeyLedger(commands, prefix=prefix, clock=SystemClock().unix)
    one = claim("r", hold(2, owner="{other}", window=60), slots=1)
    assert await ledger.reserve(one) == Reserved()
    keys: list[Any] = await client.keys(f"*{prefix}*")
    assert len(keys) == 5
    for key in keys:
        assert key_slot(key) == key_slot(f"{{{prefix}}}".encode())
        lasts = await client.ttl(key)
        assert lasts == -1 if key.endswith(b"deadlines") else DAY <= lasts <= 2 * DAY + 60
    assert await ledger.settle(one, [1])
    assert not [key for key in await client.keys(f"*{prefix}*") if await client.ttl(key) == -1]
    assert ENDED_SECONDS - 5 < await client.ttl(f"{{{prefix}}}:reservation:r") <= ENDED_SECONDS


async def test_a_refusal_and_a_busy_owner_leave_a_balances_end_alone(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """Only the first hold of a window sets it; else a retrying caller would keep a spent window alive."""
    ledger = ValkeyLedger(commands, prefix=prefix, clock=SystemClock().unix)
    assert await ledger.reserve(claim("r", hold(4))) == Reserved()
    [key] = await client.keys(f"*{prefix}*:balance:*")
    await client.expire(key, 1234)
    await ledger.reserve(claim("no", hold(2)))
    assert await ledger.reserve(claim("s", hold(1))) == Reserved()
    assert await ledger.settle(claim("s", hold(1)), [1])
    assert 1200 < await client.ttl(key) <= 1234


async def test_a_deadline_whose_reservation_is_gone_is_swept_away(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """As after a day without any gateway; it expired nothing."""
    ledger = ValkeyLedger(commands, prefix=prefix, clock=SystemClock().unix)
    assert await ledger.reserve(claim("r", hold(1), life=0.02)) == Reserved()
    await client.delete(f"{{{prefix}}}:reservation:r")
    await pass_store_time(client, 0.03)
    assert await ledger.expire() == 0
    assert await client.zcard(f"{{{prefix}}}:deadlines") == 0


async def test_an_unreachable_store_is_told_with_its_cause(tmp_path: Path) -> None:
    """Every verb raises the same error, which says when to try again."""
    async with open_store(f"unix://{tmp_path}/nobody", data_directory=tmp_path) as store:
        ledger = ValkeyLedger(store.commands, clock=SystemClock().unix)
        one = claim("r", hold(1), slots=1)
        for verb in (
            ledger.reserve(one),
            ledger.settle(one, [1]),
            ledger.release(one),
            ledger.expire(),
            ledger.balances([budget_of()]),
            ledger.slots_held(["routing"]),
        ):
            with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
                await verb
            assert caught.value.retry_after_seconds == 1.0
            assert caught.value.__cause__


async def test_a_store_that_refuses_is_told_with_its_words(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """As a full one does."""
    await client.set(f"{{{prefix}}}:deadlines", "not a sorted set")
    with pytest.raises(StoreUnavailable, match=r"refused a command .*WRONGTYPE") as caught:
        await ValkeyLedger(commands, prefix=prefix, clock=SystemClock().unix).reserve(claim("r", hold(1)))
    assert caught.value.retry_after_seconds == 5.0
    assert isinstance(caught.value.__cause__, ResponseError)


async def test_a_killed_store_comes_back_with_its_balances_and_reservations(tmp_path: Path) -> None:
    """Settled stays settled, held stays held and can still be settled, once it is on disk (within two seconds)."""
    async with open_store("embedded", data_directory=tmp_path) as store:
        ledger = ValkeyLedger(store.commands, clock=SystemClock().unix)
        assert await ledger.reserve(claim("done", hold(2), slots=2)) == Reserved()
        assert await ledger.settle(claim("done", hold(2)), [1])
        assert await ledger.reserve(claim("open", hold(3), slots=2)) == Reserved()
        assert await store.client.waitaof(1, 0, 5000) == [1, 0]
        server = (await store.client.info("server"))["process_id"]
        process = await asyncio.create_subprocess_exec("kill", "-9", str(server))
        assert await process.wait() == 0

        async def back() -> bool:
            try:
                return bool((await store.client.info("server"))["process_id"] != server)
            except Exception:  # noqa: BLE001 - it is away for a moment, in whatever way
                return False

        await eventually(back)
        [balance] = await ledger.balances([budget_of()])
        assert (balance.settled, balance.held) == (1, 3)
        assert await ledger.slots_held(["routing"]) == {"routing": 1}
        assert await ledger.settle(claim("open", hold(3)), [2])
        assert not await ledger.settle(claim("done", hold(2)), [1])
    async with open_store("embedded", data_directory=tmp_path) as store:
        [balance] = await ValkeyLedger(store.commands, clock=SystemClock().unix).balances([budget_of()])
        assert (balance.settled, balance.held) == (3, 0)


async def test_clocks_that_are_a_window_apart_are_told(commands: Multiplexed, prefix: str) -> None:
    """Nobody can say what is left then; a clock that is off by less is no matter, since the store's counts."""
    day = Window(kind="calendar", seconds=86_400, unit="day", zone="Europe/Berlin")
    for days, right in ((-3, False), (-1, True), (0, True), (1, True), (3, False)):
        ledger = ValkeyLedger(commands, prefix=prefix, clock=ManualClock(SystemClock().unix() + days * DAY).unix)
        one = claim(f"r{days}", hold(1, window=day))
        if right:
            assert await ledger.reserve(one) == Reserved()
            continue
        with pytest.raises(StoreUnavailable, match="the clocks of gateway and store are more than a window apart"):
            await ledger.reserve(one)
    [balance] = await ValkeyLedger(commands, prefix=prefix, clock=SystemClock().unix).balances([budget_of(window=day)])
    assert balance.held == 3


@pytest.mark.parametrize("window", [Window(seconds=10**9), Window(kind="rolling", seconds=60)], ids=lambda w: w.kind)
async def test_a_refusal_writes_nothing(client: Redis, commands: Multiplexed, prefix: str, window: Window) -> None:
    """Neither for the want of a budget nor of a slot, with buckets that are out of the window or without."""
    time = f"{{{prefix}}}:time"
    clock = ManualClock(START)
    await set_time(client, time, clock.now)
    ledger = ValkeyLedger(MovedCommands(commands, time), prefix=prefix, clock=clock.unix)
    old = claim("old", hold(1, window=window))
    assert await ledger.reserve(old) == Reserved()
    assert await ledger.settle(old, [1])
    await set_time(client, time, clock.now + 50)
    assert await ledger.reserve(claim("r", hold(3, window=window), slots=1)) == Reserved()
    await set_time(client, time, clock.now + 70)

    async def all_of_it() -> dict[Any, Any]:
        keys: list[Any] = await client.keys(f"*{prefix}*")
        return {key: (await client.dump(key), await client.expiretime(key)) for key in keys}

    before = await all_of_it()
    assert isinstance(await ledger.reserve(claim("no", hold(9, window=window), slots=2)), NoBudget)
    assert isinstance(await ledger.reserve(claim("full", hold(1, window=window), slots=1)), NoSlot)
    assert isinstance(await ledger.extend(claim("r", hold(3, window=window)), [9]), NoBudget)
    assert await all_of_it() == before


class Lines:
    """Processes that want slots of one tier, each with a line; time is moved."""

    def __init__(self, client: Redis, commands: Multiplexed, prefix: str) -> None:
        self._client = client
        self._time = f"{{{prefix}}}:time"
        self._now = START
        self.ledger = ValkeyLedger(MovedCommands(commands, self._time), prefix=prefix, clock=lambda: self._now)
        self._asked = 0

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        await set_time(self._client, self._time, self._now)

    async def ask(self, line: str, *, slots: int = 1) -> Claim | None:
        """Whoever stands first in that line asks ("": who stands in none); the claim, where there was a slot for it."""
        self._asked += 1
        one = claim(f"c{self._asked}", slots=slots, life=600)
        answer = await self.ledger.reserve(one, line)
        assert isinstance(answer, Reserved | NoSlot)
        return one if isinstance(answer, Reserved) else None


async def test_a_slot_goes_to_the_line_that_has_asked_in_vain_for_longest(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """And not to the process that gave it back, nor to who has just come, however soon these ask."""
    lines = Lines(client, commands, prefix)
    await lines.wait(0)
    held = await lines.ask("a")
    assert held is not None
    for line in ("b", "c", "b", "c"):
        assert await lines.ask(line) is None
        await lines.wait(0.1)
    await lines.ledger.release(held)
    assert [await lines.ask(line) for line in ("a", "", "c")] == [None, None, None]
    held = await lines.ask("b")
    assert held is not None
    await lines.ledger.release(held)
    assert [await lines.ask(line) for line in ("b", "a", "")] == [None, None, None]
    assert await lines.ask("c") is not None


async def test_one_slot_is_kept_and_no_more(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """Where two are free, others may have one."""
    lines = Lines(client, commands, prefix)
    await lines.wait(0)
    held = [await lines.ask("a", slots=2), await lines.ask("a", slots=2)]
    for _ in range(3):
        assert await lines.ask("b", slots=2) is None
        await lines.wait(0.1)
    for one in held:
        assert one is not None
        await lines.ledger.release(one)
    assert await lines.ask("a", slots=2) is not None
    assert await lines.ask("a", slots=2) is None
    assert await lines.ask("b", slots=2) is not None


async def test_a_slot_is_not_kept_for_who_asks_no_more_or_has_just_begun_to(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """It gave up, or its process died; or a poll or two will do."""
    lines = Lines(client, commands, prefix)
    await lines.wait(0)
    held = await lines.ask("a")
    assert held is not None
    for _ in range(3):
        assert await lines.ask("b") is None
        await lines.wait(0.1)
    await lines.wait(1.0)
    assert await lines.ask("c") is None
    await lines.wait(0.1)
    assert await lines.ask("c") is None
    await lines.ledger.release(held)
    assert await lines.ask("a") is not None


async def test_a_reservation_of_the_last_release_is_settled(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """It knew one slot and two words per hold."""
    ledger = ValkeyLedger(commands, prefix=prefix, clock=SystemClock().unix)
    one = claim("r", hold(3), slots=1)
    assert await ledger.reserve(one) == Reserved()
    [balance] = await client.keys(f"*{prefix}*:balance:*")
    slots = f"{{{prefix}}}:slots:routing".encode()
    script = "return redis.call('SET', KEYS[1], cmsgpack.pack({ARGV[1], ARGV[2], ARGV[3]}), 'KEEPTTL')"
    await client.eval(script, 1, f"{{{prefix}}}:reservation:r", slots, balance, "3")
    await ledger.renew([one])
    assert await ledger.extend(one, [4]) == Reserved()
    assert await ledger.settle(one, [2])
    [found] = await ledger.balances([budget_of()])
    assert (found.settled, found.held) == (2, 0)
    assert await ledger.slots_held(["routing"]) == {"routing": 0}
