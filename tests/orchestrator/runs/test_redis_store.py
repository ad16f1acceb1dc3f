"""What Redis does beyond what every store promises: silence, retries, indexes, retention, one slot for a run."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from orchestrator.errors import StoreUnavailable
from orchestrator.runs.redis_store import RedisRunStore
from orchestrator.runs.run import NewRun, Question, RunState, Step
from orchestrator.runs.store import Ending, Ownership
from tests.orchestrator.runs.redis_servers import PASSWORD, redis_server

NEW = NewRun(name="run-1", flow="Research", inputs={}, code="c", idempotency_key="k", request="r")
STEP = Step(method="draft", number=1, output=1, state={}, started_unix=1.0, seconds=0.0)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server("redis") as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[RedisRunStore]:
    store = RedisRunStore.from_url(url, retention_seconds=100)
    await store._client.flushall()
    yield store
    await store.close()


async def owned(store: RedisRunStore) -> Ownership:
    ownership = await store.own("run-1", owner="one", lease_seconds=60)
    assert ownership
    return ownership


async def test_a_store_that_is_away_is_said_so_without_its_password() -> None:
    for url in (f"redis://:{PASSWORD}@127.0.0.1:1/0", f"unix://:{PASSWORD}@/nowhere.sock"):
        store = RedisRunStore.from_url(url)
        with pytest.raises(StoreUnavailable, match=r"at (127\.0\.0\.1:1|/nowhere\.sock) does not answer") as away:
            await store.run("run-1")
        assert PASSWORD not in str(away.value)
        await store.close()


async def test_a_refused_password_is_not_repeated(url: str) -> None:
    wrong = "canary-of-another-store"
    store = RedisRunStore.from_url(url.replace(PASSWORD, wrong))
    with pytest.raises(StoreUnavailable) as refused:
        await store.add(NEW)
    assert wrong not in str(refused.value)
    await store.close()


async def test_what_was_sent_twice_counts_once(store: RedisRunStore) -> None:
    """As after an answer that was lost on the way."""
    await store.add(NEW)
    fences = [await store._run("own", "run-1", "one", 60, "the same claim") for _ in range(2)]
    assert fences == ["1", "1"]
    assert await store._run("own", "run-1", "one", 60, "another claim") is None
    mine = Ownership(name="run-1", owner="one", fence=1)
    question = Question(step="s#1", message="?", output=None)
    await store.ask(mine, question)
    await store.ask(mine, question)
    await store.answer("run-1", "yes")
    again = await owned(store)
    await store.end(again, Ending(state=RunState.SUCCEEDED))
    await store.end(again, Ending(state=RunState.SUCCEEDED))
    types = [event.type for event in await store.events("run-1")]
    assert types == ["run.queued", "run.running", "run.waiting", "run.queued", "run.running", "run.succeeded"]


async def test_all_of_a_run_lies_in_one_slot(store: RedisRunStore) -> None:
    await store.add(NEW)
    await store.keep_step(await owned(store), STEP)
    keys = [key async for key in store._client.scan_iter("tiergate:run:*")]
    assert len(keys) == 4
    assert all("{run-1}" in key for key in keys)


async def test_what_ended_goes_away_by_itself_unless_it_goes_on(store: RedisRunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    await store.keep_step(mine, STEP)

    async def times() -> set[int]:
        return {await store._client.ttl(key) async for key in store._client.scan_iter("tiergate:run:*")}

    assert await times() == {-1}
    await store.end(mine, Ending(state=RunState.FAILED))
    assert all(90 < seconds <= 100 for seconds in await times())
    await store.resume("run-1")
    assert await times() == {-1}
    await store.cancel("run-1")
    assert all(90 < seconds <= 100 for seconds in await times())


async def test_lists_get_over_what_is_gone_or_was_never_made(store: RedisRunStore) -> None:
    await store.add(NEW)
    client: Redis = store._client
    await client.zadd("tiergate:runs", {"never made": 1})
    await client.zadd("tiergate:runs:leases", {"never made": 1, "run-1": 1})
    assert [run.name for run in await store.runs()] == ["run-1"]
    assert await client.zcard("tiergate:runs") == 1
    assert await store.lapsed() == []
    assert await client.zcard("tiergate:runs:leases") == 0
    mine = await owned(store)
    await client.zadd("tiergate:runs:leases", {"run-1": 1})
    await store.renew(mine, lease_seconds=60)
    assert await store.lapsed() == []
    assert float(await client.zscore("tiergate:runs:leases", "run-1") or 0) > 1e9


async def test_a_request_whose_worker_died_before_the_run_was_made_makes_it_under_its_first_name(
    store: RedisRunStore,
) -> None:
    await store._name_for(NEW)
    run, new = await store.add(replace(NEW, name="run-2"))
    assert (run.name, new) == ("run-1", True)


async def test_more_commands_at_once_than_connections_wait_their_turn(store: RedisRunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    await asyncio.gather(*(store.tell(mine, "token", {"n": number}) for number in range(300)))
    assert len(await store.events("run-1")) == 302


async def test_readers_that_wait_hold_up_nobody(store: RedisRunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    waiting = [asyncio.ensure_future(store.events("run-1", after=2, wait_seconds=9)) for _ in range(100)]
    await asyncio.sleep(0.1)
    await asyncio.wait_for(store.tell(mine, "token", {}), 5)
    answers = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert {event.type for answer in answers for event in answer} == {"token"}
