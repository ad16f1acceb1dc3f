"""Events arrive in the store one after the other, whatever thread they come from."""

import asyncio
from threading import Thread

import pytest
from pydantic import JsonValue

from orchestrator.errors import OwnershipLost
from orchestrator.runs import feed as feeds
from orchestrator.runs.feed import Feed
from orchestrator.runs.kept_secrets import KeptSecrets
from orchestrator.runs.meter import Meter
from orchestrator.settings import Secret


class Slow:
    """A store that takes its time, until it is told to be quick."""

    def __init__(self) -> None:
        self.written: list[tuple[str, dict[str, JsonValue]]] = []
        self.go_on = asyncio.Event()

    async def write(self, type_: str, data: dict[str, JsonValue]) -> None:
        """Keep it."""
        await self.go_on.wait()
        self.written.append((type_, data))


def feed_of(store: Slow) -> Feed:
    return Feed(write=store.write, meter=Meter(), secrets=KeptSecrets([Secret("canary-key")]))


async def test_events_from_threads_are_written_in_order() -> None:
    store = Slow()
    store.go_on.set()
    feed = feed_of(store)
    working = asyncio.ensure_future(feed.work())

    def tell(name: str) -> None:
        for number in range(50):
            feed.tell(name, {"i": number})

    threads = [Thread(target=tell, args=(name,)) for name in "012"]
    for thread in threads:
        thread.start()
    async with asyncio.timeout(5):
        while len(store.written) < 150:  # noqa: ASYNC110 - threads set no events
            await asyncio.sleep(0.001)
    for name in ("0", "1", "2"):
        assert [data["i"] for type_, data in store.written if type_ == name] == list(range(50))
    working.cancel()


async def test_tokens_of_a_call_that_wait_become_one_event() -> None:
    store = Slow()
    feed = feed_of(store)
    feed.tell("step.started", {})
    for call, text in [("a", "1"), ("a", "2"), ("b", "3"), ("a", "4"), ("a", "5")]:
        feed.tell("token", {"call": call, "text": text})
    feed.tell("call.finished", {})
    feed.tell("token", {"call": "a", "text": "6"})
    store.go_on.set()
    await feed.flush()
    assert [data.get("text", type_) for type_, data in store.written] == [
        "step.started", "12", "3", "45", "call.finished", "6",
    ]  # fmt: skip


async def test_only_tokens_are_dropped_where_the_store_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "WAITING_MAX", 2)
    store = Slow()
    feed = feed_of(store)
    for number in range(4):
        feed.tell("token", {"call": str(number), "text": "x"})
        feed.tell("tool.started", {"n": number})
    store.go_on.set()
    await feed.flush()
    assert [type_ for type_, _ in store.written] == ["token", *["tool.started"] * 4]


async def test_no_secret_is_told() -> None:
    store = Slow()
    store.go_on.set()
    feed = feed_of(store)
    feed.tell("token", {"call": "a", "text": "my key is canary-key."})
    await feed.flush()
    assert store.written == [("token", {"call": "a", "text": "my key is ***."})]


async def test_a_run_that_is_lost_ends_its_feed() -> None:
    async def refuse(type_: str, data: dict[str, JsonValue]) -> None:
        raise OwnershipLost(f"{type_} {data}")

    feed = Feed(write=refuse, meter=Meter(), secrets=KeptSecrets())
    feed.tell("token", {"call": "a", "text": "x"})
    with pytest.raises(OwnershipLost):
        await asyncio.wait_for(feed.work(), 5)


async def test_what_is_no_event_is_nothing() -> None:
    store = Slow()
    store.go_on.set()
    feed = feed_of(store)
    feed(None, object())
    await feed.flush()
    assert store.written == []
