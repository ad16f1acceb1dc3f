"""What every store of runs promises: in Valkey, in Redis, and in a directory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.clock import unix
from orchestrator.errors import OwnershipLost, RunConflict
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.redis_store import RedisRunStore
from orchestrator.runs.run import NewRun, Problem, Question, RunBounds, RunState, Step
from orchestrator.runs.store import Ending, Ownership, RunStore
from tests.orchestrator.runs.redis_servers import redis_server

LONG, SHORT = 60.0, 0.02
NEW = NewRun(name="run-1", flow="Research", inputs={"topic": "tea", "depth": 2}, code="c0de")
STEP = Step(
    method="draft", number=1, output={"$": "tuple", "v": ["\u2028 é", 1]}, state={"n": 1}, started_unix=1.5, seconds=0.5
)


@pytest.fixture(scope="module", params=["valkey", "redis", "directory"])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where runs are kept."""
    if request.param == "directory":
        yield ""
        return
    with redis_server(request.param) as url:
        yield url


@pytest.fixture
async def store(place: str, tmp_path: Path) -> AsyncIterator[RunStore]:
    """An empty store."""
    if place:
        redis = RedisRunStore.from_url(place)
        await redis._client.flushall()
        yield redis
        await redis.close()
    else:
        directory = DirectoryRunStore(tmp_path / "runs", unix=unix)
        yield directory
        await directory.close()


async def owned(store: RunStore, *, lease_seconds: float = LONG, owner: str = "one") -> Ownership:
    ownership = await store.own("run-1", owner=owner, lease_seconds=lease_seconds)
    assert ownership is not None
    return ownership


async def kinds(store: RunStore) -> list[str]:
    return [event.type for event in await store.events("run-1")]


async def test_a_run_that_is_asked_for_is_kept_queued(store: RunStore) -> None:
    bounds = RunBounds(usd_max=0.5, calls_max=9, deadline_unix=2e9)
    run, new = await store.add(replace(NEW, bounds=bounds))
    assert new
    assert run == await store.run("run-1")
    assert (run.state, run.flow, run.inputs, run.code, run.bounds) == ("queued", "Research", NEW.inputs, "c0de", bounds)
    assert abs(run.created_unix - unix()) < 5
    assert (run.attempts, run.steps, run.owner, run.problem, run.question) == (0, 0, "", None, None)
    assert await store.run("run-2") is None


async def test_a_name_is_given_once(store: RunStore) -> None:
    await store.add(NEW)
    with pytest.raises(RunConflict, match="run-1"):
        await store.add(NEW)
    with pytest.raises(RunConflict, match="run-1"):
        await store.add(replace(NEW, idempotency_key="k"))


async def test_the_same_request_again_gives_the_run_that_it_made(store: RunStore) -> None:
    first, _ = await store.add(replace(NEW, idempotency_key="k", request="r"))
    again, new = await store.add(replace(NEW, name="run-2", idempotency_key="k", request="r"))
    assert (again, new) == (first, False)
    with pytest.raises(RunConflict, match="another request"):
        await store.add(replace(NEW, name="run-2", idempotency_key="k", request="other"))
    other, new = await store.add(replace(NEW, name="run-2", idempotency_key="k2", request="r"))
    assert (other.name, new) == ("run-2", True)


async def test_requests_that_arrive_together_make_one_run(store: RunStore) -> None:
    asked = [replace(NEW, name=f"run-{number}", idempotency_key="k", request="r") for number in range(5)]
    answers = await asyncio.gather(*map(store.add, asked))
    assert len({run.name for run, _ in answers}) == 1
    assert [new for _, new in answers].count(True) == 1


async def test_one_worker_owns_a_run(store: RunStore) -> None:
    await store.add(NEW)
    owners = await asyncio.gather(*(store.own("run-1", owner=str(n), lease_seconds=LONG) for n in range(5)))
    taken = [ownership for ownership in owners if ownership]
    assert len(taken) == 1
    run = await store.run("run-1")
    assert run is not None
    assert (run.state, run.owner, run.attempts) == ("running", taken[0].owner, 1)
    assert run.started_unix >= run.created_unix
    assert await store.own("none", owner="x", lease_seconds=LONG) is None
    assert await store.lapsed() == []


async def test_a_run_whose_lease_ran_out_is_taken_over_and_the_first_owner_cannot_write(store: RunStore) -> None:
    await store.add(NEW)
    first = await owned(store, lease_seconds=SHORT)
    async with asyncio.timeout(5):
        while await store.lapsed() != ["run-1"]:  # noqa: ASYNC110 - the store's own clock tells nobody
            await asyncio.sleep(0.005)
    second = await owned(store, owner="two")
    assert second.fence > first.fence
    assert await store.lapsed() == []
    writes = [
        store.renew(first, lease_seconds=LONG),
        store.keep_step(first, STEP),
        store.tell(first, "token", {}),
        store.ask(first, Question(step="draft#1", message="?", output=None)),
        store.end(first, Ending(state=RunState.SUCCEEDED)),
    ]
    for write in writes:
        with pytest.raises(OwnershipLost, match="one does not own the run 'run-1' any more"):
            await write
    await store.let_go(first)
    run = await store.run("run-1")
    assert run is not None
    assert (run.state, run.owner, run.attempts, run.steps) == ("running", "two", 2, 0)
    await store.keep_step(second, STEP)


async def test_who_renews_keeps_it_even_a_little_late(store: RunStore) -> None:
    await store.add(NEW)
    first = await owned(store, lease_seconds=SHORT)
    await asyncio.sleep(2 * SHORT)
    assert await store.renew(first, lease_seconds=LONG) is False
    assert await store.lapsed() == []
    assert await store.own("run-1", owner="two", lease_seconds=LONG) is None


async def test_a_run_that_is_let_go_is_anybodys(store: RunStore) -> None:
    await store.add(NEW)
    first = await owned(store)
    await store.let_go(first)
    assert (await owned(store, owner="two")).fence > first.fence
    assert await kinds(store) == ["run.queued", "run.running", "run.queued", "run.running"]


async def test_steps_are_kept_once_and_in_order(store: RunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    second = replace(STEP, number=2, arguments="a1")
    for step in (STEP, second, STEP):
        await store.keep_step(mine, step)
    assert await store.steps("run-1") == [STEP, second]
    run = await store.run("run-1")
    assert run is not None
    assert run.steps == 2
    assert await store.steps("none") == []


async def test_events_are_numbered_and_read_from_a_number_on(store: RunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    for number in range(3):
        await store.tell(mine, "token", {"text": f"é\u2028{number}"})
    events = await store.events("run-1")
    assert [event.number for event in events] == [1, 2, 3, 4, 5]
    assert events[2].data == {"text": "é\u20280"}
    assert abs(events[2].unix - unix()) < 5
    assert await store.events("run-1", after=3) == events[3:]
    assert await store.events("run-1", after=5) == []


async def test_who_waits_for_an_event_has_it_when_it_comes(store: RunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    waiting = asyncio.ensure_future(store.events("run-1", after=2, wait_seconds=5))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await store.tell(mine, "token", {})
    assert [event.type for event in await asyncio.wait_for(waiting, 2)] == ["token"]
    assert await store.events("run-1", after=3, wait_seconds=0.02) == []


async def test_a_question_waits_for_its_answer(store: RunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    question = Question(step="review#1", message="Good?", output={"a": 1}, outcomes=["yes", "no"])
    await store.ask(mine, question)
    run = await store.run("run-1")
    assert run is not None
    assert (run.state, run.question, run.owner) == ("waiting", question, "")
    assert await store.own("run-1", owner="two", lease_seconds=LONG) is None
    with pytest.raises(OwnershipLost):
        await store.renew(mine, lease_seconds=LONG)
    assert await store.answer("run-1", "rather yes")
    assert not await store.answer("run-1", "no")
    assert not await store.answer("none", "no")
    assert await store.feedback("run-1") == {"review#1": "rather yes"}
    assert (await owned(store, owner="two")).fence > mine.fence
    assert await kinds(store) == ["run.queued", "run.running", "run.waiting", "run.queued", "run.running"]


async def test_a_run_ends_with_all_that_is_known_of_it(store: RunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    await store.end(
        mine, Ending(state=RunState.SUCCEEDED, output=["x"], final_state={"n": None}, usage={"seconds": 1.5})
    )
    run = await store.run("run-1")
    assert run is not None
    assert (run.state, run.output, run.final_state, run.usage) == ("succeeded", ["x"], {"n": None}, {"seconds": 1.5})
    assert run.ended_unix >= run.started_unix > 0
    assert (run.owner, run.problem) == ("", None)
    with pytest.raises(OwnershipLost):
        await store.tell(mine, "token", {})
    assert await store.own("run-1", owner="two", lease_seconds=LONG) is None
    assert not await store.cancel("run-1")
    assert not await store.resume("run-1")
    assert (await kinds(store))[-1] == "run.succeeded"


async def test_a_failed_run_goes_on_where_somebody_resumes_it(store: RunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    await store.keep_step(mine, STEP)
    problem = Problem(type="ValueError", message="no", step="draft#2")
    await store.end(mine, Ending(state=RunState.FAILED, problem=problem))
    run = await store.run("run-1")
    assert run is not None
    assert run.problem == problem
    assert await store.resume("run-1")
    assert not await store.resume("run-1")
    run = await store.run("run-1")
    assert run is not None
    assert (run.state, run.problem, run.code, run.ended_unix) == ("queued", None, "c0de", 0)
    assert await store.steps("run-1") == [STEP]
    again = await owned(store)
    await store.end(again, Ending(state=RunState.FAILED, problem=problem))
    assert await store.resume("run-1", code="other")
    run = await store.run("run-1")
    assert run is not None
    assert run.code == "other"


async def test_a_run_that_nobody_owns_is_cancelled_at_once(store: RunStore) -> None:
    await store.add(NEW)
    assert await store.cancel("run-1")
    assert await store.own("run-1", owner="one", lease_seconds=LONG) is None
    assert await store.resume("run-1")
    mine = await owned(store)
    assert await store.renew(mine, lease_seconds=LONG) is False
    await store.ask(mine, Question(step="s#1", message="?", output=None))
    assert await store.cancel("run-1")
    run = await store.run("run-1")
    assert run is not None
    assert (run.state, run.question) == ("cancelled", None)
    assert not await store.cancel("none")


async def test_the_owner_hears_of_a_cancellation(store: RunStore) -> None:
    await store.add(NEW)
    mine = await owned(store)
    assert await store.cancel("run-1")
    run = await store.run("run-1")
    assert run is not None
    assert (run.state, run.cancel_wanted) == ("running", True)
    assert await store.renew(mine, lease_seconds=LONG) is True
    await store.end(mine, Ending(state=RunState.CANCELLED))
    assert await store.resume("run-1")
    assert await store.renew(await owned(store), lease_seconds=LONG) is False


@pytest.mark.parametrize("asks", [True, False])
async def test_an_owner_that_has_not_heard_of_a_cancellation_does_not_undo_it(store: RunStore, asks: bool) -> None:
    await store.add(NEW)
    mine = await owned(store)
    assert await store.cancel("run-1")
    if asks:
        await store.ask(mine, Question(step="s#1", message="?", output=None))
    else:
        await store.let_go(mine)
    run = await store.run("run-1")
    assert run is not None
    assert (run.state, run.question) == ("cancelled", None)
    assert run.ended_unix > 0


async def test_runs_are_listed_newest_first_and_by_flow_and_state(store: RunStore) -> None:
    for number in range(1, 4):
        await store.add(replace(NEW, name=f"run-{number}", flow="Odd" if number % 2 else "Even"))
    await store.cancel("run-1")
    every = await store.runs()
    assert [run.name for run in every] == ["run-3", "run-2", "run-1"]
    assert [run.name for run in await store.runs(flow="Odd")] == ["run-3", "run-1"]
    assert [run.name for run in await store.runs(states=[RunState.CANCELLED])] == ["run-1"]
    assert [run.name for run in await store.runs(limit=1)] == ["run-3"]
    assert [run.name for run in await store.runs(before_unix=every[1].created_unix)] == ["run-1"]


async def test_what_ended_long_ago_is_forgotten(store: RunStore) -> None:
    await store.add(replace(NEW, idempotency_key="k"))
    await store.add(replace(NEW, name="run-2"))
    mine = await owned(store)
    await store.keep_step(mine, STEP)
    await store.end(mine, Ending(state=RunState.SUCCEEDED))
    run = await store.run("run-1")
    assert run is not None
    assert await store.forget(before_unix=run.ended_unix) == 0
    assert await store.forget(before_unix=run.ended_unix + 1) == 1
    assert await store.run("run-1") is None
    assert await store.steps("run-1") == []
    assert await store.events("run-1") == []
    assert [run.name for run in await store.runs()] == ["run-2"]
    again, new = await store.add(replace(NEW, idempotency_key="k"))
    assert (again.name, new, again.steps) == ("run-1", True, 0)
