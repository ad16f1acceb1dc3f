"""One generation after the other."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.authenticate import digest
from gateway.checked_map import CheckedMap, MapRejected
from gateway.errors import Unauthorized
from gateway.generation import Generation
from gateway.served import Rejection, ServedMap
from gateway.succession import Succession
from tests.doubles.transport import FakeResponse, FakeTransport, Gate
from tests.gateway.composed import KEY, Composed, composed
from tests.gateway.samples import ANSWER, budget, request, tier_map, token_tier
from tests.stores import eventually
from tiers.tiermap import Endpoint, Key, Tier, Timeouts

KEYS = (Key(name="demo", hash=digest(KEY.encode())),)


class Ground:
    """A composed gateway whose ways to endpoints are kept by their URLs."""

    def __init__(self) -> None:
        self.ways: dict[str, FakeTransport] = {}
        self.whole: Composed = composed(connect=self._connect)
        self.succession: Succession = self.whole.parts.succession

    def _connect(self, url: str, timeouts: Timeouts) -> FakeTransport:
        if "nowhere" in url:
            raise ValueError("an endpoint's URL names a host")
        assert timeouts.connect
        self.ways[url] = FakeTransport()
        return self.ways[url]

    async def prepare(self, *tiers: Tier, keys: tuple[Key, ...] = KEYS, number: int = 2) -> None:
        """Make the next generation ready."""
        checked = CheckedMap(tier_map=tier_map(*tiers, keys=keys, budgets=(budget(77_000),)), text=b"2", known={})
        await self.succession.prepare(checked, ServedMap(generation=number, hash=checked.hash, loaded_unix=5.0))

    async def swap(self, *tiers: Tier, keys: tuple[Key, ...] = KEYS, number: int = 2) -> None:
        """The next generation takes over."""
        await self.prepare(*tiers, keys=keys, number=number)
        self.succession.swap()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With its work beside requests."""
        task = asyncio.ensure_future(self.succession.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.succession.aclose()

    def begin(self, status: list[int]) -> "asyncio.Task[None]":
        """Begin a request."""

        async def ask() -> None:
            async with self.whole.client() as client:
                status.append((await client.post("/v1/chat/completions", content=request())).status_code)

        return asyncio.get_running_loop().create_task(ask())

    def retired(self) -> list[int]:
        """The generations that have been closed."""
        return [line["generation"] for line in self.whole.logged() if line["event"] == "tier_map.retired"]


@pytest.fixture
def ground() -> Ground:
    return Ground()


async def test_a_request_ends_under_the_map_that_it_began_with(ground: Ground) -> None:
    """Its endpoint is gone from the new map, and its key: it is answered all the same, and only then the way is closed.

    A caller that comes later is under the new one.
    """
    old, gate, status = ground.ways["http://routing.test/v1"], Gate(), list[int]()
    old.then(gate, FakeResponse(ANSWER))
    async with ground.running():
        task = ground.begin(status)
        await gate.reached.wait()
        await ground.swap(token_tier("reasoning"), keys=())
        assert [each.served.generation for each in ground.succession.living] == [1, 2]
        assert (await ground.whole.get("/v1/models")).status_code == 401
        await asyncio.sleep(0)
        assert (old.closed, ground.retired()) == (False, [])
        gate.opened.set()
        await task
        assert status == [200]
        await eventually(lambda: ground.retired() == [1])
        assert old.closed
        assert not ground.ways["http://reasoning.test/v1"].closed
        assert [each.served.generation for each in ground.succession.living] == [2]
    assert ground.ways["http://reasoning.test/v1"].closed


async def test_who_waits_for_a_slot_waits_on_and_is_shown(ground: Ground) -> None:
    """Slots are by the tier's name, whatever generation a request is of; also those that were waiting are counted."""
    way, gate, status = ground.ways["http://routing.test/v1"], Gate(), list[int]()
    way.then(gate, gate, *(FakeResponse(ANSWER) for _ in range(3)))
    async with ground.running():
        tasks = [ground.begin(status) for _ in range(3)]
        await gate.reached.wait()
        first = ground.succession.current.admit
        await eventually(lambda: first.queue_lengths()["routing"] == 1)
        await ground.swap(token_tier("routing"))
        assert 'tiergate_queue_length{tier="routing"} 1.0' in (await ground.whole.get("/metrics")).text
        gate.opened.set()
        await asyncio.gather(*tasks)
    assert status == [200, 200, 200]


async def test_a_new_map_is_shown_and_what_was_counted_stays(ground: Ground) -> None:
    """Limits are those of the new map; counters go on."""
    async with ground.running():
        async with ground.whole.client("sk-unknown") as client:
            await client.post("/v1/chat/completions", content=request())
        await ground.swap(token_tier("reasoning", slots=9))
        text = (await ground.whole.get("/metrics")).text
    assert 'tiergate_slots{tier="reasoning"} 9.0' in text
    assert 'tier="routing"}' not in text
    assert 'tiergate_budget_limit{budget="money",unit="USD"} 0.077' in text
    assert "tiergate_tier_map_generation 2.0" in text
    assert f'tiergate_tier_map_info{{hash="{ground.succession.current.served.hash}"}} 1.0' in text
    assert "tiergate_tier_map_last_reload_success_timestamp_seconds 5.0" in text
    assert 'tiergate_refusals_total{code="invalid_api_key",tier=""} 1.0' in text


async def test_what_was_prepared_serves_nobody_until_it_takes_over(ground: Ground) -> None:
    """And may be forgotten; the ways that only it has are given back."""
    await ground.prepare(token_tier("reasoning"), token_tier("extra"))
    assert ground.succession.current.served.generation == 1
    ground.succession.forget()
    ground.succession.swap()
    assert ground.succession.current.served.generation == 1
    before = ground.ways["http://extra.test/v1"]
    await ground.prepare(token_tier("extra"))
    assert ground.ways["http://extra.test/v1"] is not before
    await ground.prepare(token_tier("extra"), number=3)
    ground.succession.swap()
    assert ground.succession.current.served.generation == 3


async def test_a_map_that_cannot_be_made_changes_nothing(ground: Ground) -> None:
    """It is refused."""
    nowhere = Endpoint(name="routing/0", url="http://nowhere.test/v1")
    with pytest.raises(MapRejected, match="names a host"):
        await ground.prepare(token_tier("reasoning"), token_tier("routing", endpoints=(nowhere,)))
    ground.succession.swap()
    assert ground.succession.current.served.generation == 1


async def test_it_takes_over_and_refuses_as_a_reload_asks(ground: Ground) -> None:
    """A map that is refused is shown until one is taken over."""
    rejection = Rejection(hash="bad", since_unix=9.0, problems=("secret/path is bad",))
    await ground.succession.reject(rejection)
    shown = (await ground.whole.get("/readyz")).json()
    assert (shown["ready"], shown["tier_map"]["generation"]) == (True, 1)
    assert shown["tier_map"]["rejected"] == {"hash": "bad", "since_unix": 9.0}
    assert "tiergate_tier_map_last_reload_successful 0.0" in (await ground.whole.get("/metrics")).text
    checked = CheckedMap(tier_map=tier_map(token_tier(), keys=KEYS), text=b"3", known={})
    await ground.succession.take_over(checked, ServedMap(generation=2, hash="good", loaded_unix=1.0))
    shown = (await ground.whole.get("/readyz")).json()["tier_map"]
    assert shown == {"generation": 2, "hash": "good", "loaded_unix": 1.0, "rejected": None}
    assert "tiergate_tier_map_last_reload_successful 1.0" in (await ground.whole.get("/metrics")).text
    with pytest.raises(Unauthorized):
        await ground.succession.authenticate(b"Bearer sk-routing-only", None)


async def test_old_generations_are_not_kept(ground: Ground) -> None:
    """A map that changes often does not fill the memory, although the cycle collector is spared."""
    gc.disable()
    try:
        async with ground.running():
            for number in range(101, 111):
                await ground.swap(token_tier("routing"), number=number)
                ground.ways["http://routing.test/v1"].then(FakeResponse(ANSWER))
                status = list[int]()
                await ground.begin(status)
                assert status == [200]
            await eventually(lambda: len(ground.retired()) == 10)
            left = {each.served.generation for each in gc.get_objects() if isinstance(each, Generation)}
            assert not left & set(range(101, 109)), "a frame may still hold the one before"
    finally:
        gc.enable()
