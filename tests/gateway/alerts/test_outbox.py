"""What processes tell each other of alerts, in a real store."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.alerts import outbox
from gateway.alerts.outbox import Due, Mark, Outbox
from gateway.errors import StoreUnavailable
from gateway.store.multiplexed import Multiplexed
from gateway.store.resp import command
from tests.doubles.recording_commands import RecordingCommands
from tests.stores import eventually

pytestmark = pytest.mark.integration


def mark(key: str, name: str, *, life_seconds: float | None = 60.0) -> Mark:
    return Mark(key=key, life_seconds=life_seconds, id=name, body=f"body {name}".encode())


@pytest.fixture
def box(commands: Multiplexed, prefix: str) -> Outbox:
    return Outbox(commands, process="p1", prefix=prefix)


@pytest.fixture
def other(commands: Multiplexed, prefix: str) -> Outbox:
    return Outbox(commands, process="p2", prefix=prefix)


async def ids(box: Outbox, *, lease_seconds: float = 60.0) -> list[str]:
    return [due.id for due in await box.take(lease_seconds=lease_seconds, most=10)]


async def test_one_process_leads_until_it_is_silent_for_so_long(box: Outbox, other: Outbox) -> None:
    assert await box.lead(0.05)
    assert await box.lead(0.05)
    assert not await other.lead(0.05)
    await eventually(lambda: other.lead(60))
    assert not await box.lead(60)


async def test_a_part_is_news_once_over_all_processes(box: Outbox, other: Outbox) -> None:
    assert await box.note([mark("a", "1"), mark("b", "2")]) == 2
    assert await other.note([mark("a", "3"), mark("b", "4")]) == 0
    assert await ids(other) == ["1", "2"]


async def test_a_part_is_news_again_when_its_window_is_over(box: Outbox) -> None:
    await box.note([mark("a", "1", life_seconds=0.02)])

    async def is_news() -> bool:
        return await box.note([mark("a", "2", life_seconds=60)]) == 1

    await eventually(is_news)
    assert await ids(box) == ["1", "2"]


async def test_a_note_that_is_repeated_says_the_same_and_posts_nothing_twice(box: Outbox) -> None:
    """As after a connection that was lost before the reply came."""
    for _ in range(2):
        assert await box.note([mark("a", "1"), mark("r", "2", life_seconds=None)]) == 2
    assert await ids(box) == ["1", "2"]


async def test_a_part_of_a_rolling_window_is_news_again_after_less_was_spent(box: Outbox) -> None:
    assert await box.note([mark("r", "1", life_seconds=None)]) == 1
    assert await box.note([mark("r", "2", life_seconds=None)]) == 0
    assert await box.note([]) == 0
    assert await box.note([mark("r", "3", life_seconds=None)]) == 1


async def test_what_was_given_out_comes_again_only_after_its_lease(box: Outbox, other: Outbox) -> None:
    """A process that dies with it leaves it to another, with the same id and body."""
    await box.note([mark("a", "1")])
    assert await box.take(lease_seconds=0.1, most=10) == [Due(id="1", body=b"body 1", tries=1)]
    assert await ids(other) == []
    taken: list[Due] = []

    async def comes() -> bool:
        taken.extend(await other.take(lease_seconds=60, most=10))
        return bool(taken)

    await eventually(comes)
    assert taken == [Due(id="1", body=b"body 1", tries=2)]


async def test_what_is_done_never_comes_again_and_is_no_news(box: Outbox) -> None:
    await box.note([mark("a", "1")])
    [due] = await box.take(lease_seconds=0.001, most=10)
    await box.done(due)
    await asyncio.sleep(0.01)
    assert await ids(box) == []
    assert await box.note([mark("a", "2")]) == 0


async def test_what_is_put_off_comes_then_and_not_before(box: Outbox) -> None:
    await box.note([mark("a", "1"), mark("b", "2")])
    soon, late = await box.take(lease_seconds=60, most=10)
    await box.later(late, 60)
    await box.later(soon, 0.01)
    found: list[str] = []

    async def comes() -> bool:
        found.extend(await ids(box))
        return bool(found)

    await eventually(comes)
    assert found == ["1"]


async def test_what_was_done_is_not_put_off(box: Outbox) -> None:
    """Another process may have posted it after a lease."""
    await box.note([mark("a", "1")])
    [due] = await box.take(lease_seconds=60, most=10)
    await box.done(due)
    await box.later(due, 0.001)
    await asyncio.sleep(0.01)
    assert await ids(box) == []


async def test_no_more_are_given_out_than_asked_for_the_oldest_first(box: Outbox) -> None:
    for name in ("1", "2", "3"):
        await box.note([mark(name, name)])
        await asyncio.sleep(0.002)
    assert [due.id for due in await box.take(lease_seconds=60, most=2)] == ["1", "2"]


async def test_what_finds_no_room_is_noted_later(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PENDING_MAX", 1)
    assert await box.note([mark("a", "1"), mark("b", "2")]) == 1
    [due] = await box.take(lease_seconds=60, most=10)
    await box.done(due)
    assert await box.note([mark("a", "3"), mark("b", "4")]) == 1
    assert await ids(box) == ["4"]


async def test_nothing_stays_of_what_is_done(box: Outbox, commands: Multiplexed, prefix: str) -> None:
    """But that it was noted, until its window is over."""
    await box.note([mark("a", "1")])
    [due] = await box.take(lease_seconds=60, most=10)
    await box.done(due)
    left = await commands.send(command("KEYS", f"{{{prefix}}}:alerts*"))
    assert left == [f"{{{prefix}}}:alerts:noted:a".encode()]
    assert 0 < await commands.send(command("PTTL", left[0])) <= 60_000


async def test_a_store_that_is_away_is_said_to_be() -> None:
    gone = RecordingCommands(RedisConnectionError("gone"), RedisConnectionError("gone"))
    with pytest.raises(StoreUnavailable, match="alerts"):
        await Outbox(gone, process="p1").lead(1)
