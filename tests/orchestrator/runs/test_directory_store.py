"""What a directory does beyond what every store promises: one process, and whatever a dead one left."""

import asyncio
import sys
from pathlib import Path

import pytest

from orchestrator.errors import RunConflict, StoreUnavailable
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.run import NewRun, Question, Step
from tests.orchestrator.runs.clocks import ManualClock

NEW = NewRun(name="run-1", flow="Research", inputs={}, code="c", idempotency_key="k", request="r")
STEP = Step(method="draft", number=1, output=1, state={}, started_unix=1.0, seconds=0.0)


def store_in(folder: Path, clock: ManualClock | None = None) -> DirectoryRunStore:
    return DirectoryRunStore(folder, unix=(clock or ManualClock()).unix)


async def test_one_process_has_the_directory(tmp_path: Path) -> None:
    store = store_in(tmp_path / "a" / "b")
    with pytest.raises(StoreUnavailable, match="used by another process"):
        store_in(tmp_path / "a" / "b")
    await store.close()
    await store_in(tmp_path / "a" / "b").close()


async def test_the_lock_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    program = (
        "import sys, os\nfrom pathlib import Path\nfrom orchestrator.clock import unix\n"
        "from orchestrator.runs.directory_store import DirectoryRunStore\n"
        "store = DirectoryRunStore(Path(sys.argv[1]), unix=unix)\nos.kill(os.getpid(), 9)\n"
    )
    dead = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(tmp_path))
    assert await dead.wait() == -9
    await store_in(tmp_path).close()


def test_a_directory_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be used for runs"):
        store_in(tmp_path / "file")


async def test_everything_is_there_after_the_process_and_its_runs_are_anybodys(tmp_path: Path) -> None:
    clock = ManualClock()
    store = store_in(tmp_path, clock)
    await store.add(NEW)
    mine = await store.own("run-1", owner="one", lease_seconds=3600)
    assert mine
    await store.keep_step(mine, STEP)
    await store.tell(mine, "token", {"text": "x"})
    await store.close()

    again = store_in(tmp_path, clock)
    assert await again.lapsed() == ["run-1"]
    taken = await again.own("run-1", owner="two", lease_seconds=60)
    assert taken
    assert taken.fence == mine.fence + 1
    run = await again.run("run-1")
    assert run
    assert (run.steps, run.attempts, await again.steps("run-1")) == (1, 2, [STEP])
    await again.keep_step(taken, STEP)
    assert len(await again.steps("run-1")) == 1
    assert [event.number for event in await again.events("run-1")] == [1, 2, 3, 4]
    same, new = await again.add(NEW)
    assert (same.name, new) == ("run-1", False)
    await again.ask(taken, Question(step="draft#1", message="?", output=None))
    await again.answer("run-1", "yes")
    await again.close()
    last = store_in(tmp_path)
    assert await last.feedback("run-1") == {"draft#1": "yes"}
    await last.close()


async def test_a_lease_runs_out_by_the_clock(tmp_path: Path) -> None:
    clock = ManualClock()
    store = store_in(tmp_path, clock)
    await store.add(NEW)
    await store.own("run-1", owner="one", lease_seconds=30)
    clock.now += 29.9
    assert await store.lapsed() == []
    clock.now += 0.1
    assert await store.lapsed() == ["run-1"]
    await store.close()


async def test_what_a_dying_process_left_half_written_does_no_harm(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await store.add(NEW)
    mine = await store.own("run-1", owner="one", lease_seconds=60)
    assert mine
    await store.keep_step(mine, STEP)
    await store.close()
    folder = tmp_path / "runs" / "run-1"
    with (folder / "steps.jsonl").open("a") as file:
        file.write('{"method": "ha')
    (folder / "run.json.new").write_text("{")
    (tmp_path / "runs" / "run-2").mkdir()
    (tmp_path / "runs" / "run-2" / "steps.jsonl").write_text("left over\n")
    again = store_in(tmp_path)
    assert await again.steps("run-1") == [STEP]
    assert await again.run("run-2") is None
    run, new = await again.add(NewRun(name="run-2", flow="Research", inputs={}, code="c"))
    assert (new, run.steps, await again.steps("run-2")) == (True, 0, [])
    await again.close()


async def test_no_name_leaves_the_directory(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with pytest.raises(RunConflict):
        await store.add(NewRun(name="../run", flow="Research", inputs={}, code="c"))
    await store.close()


async def test_a_disk_that_refuses_is_said_so(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    (tmp_path / "runs" / "run-1").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        await store.add(NEW)
    await store.close()


async def test_a_write_goes_on_where_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    adding = asyncio.ensure_future(store.add(NEW))
    await asyncio.sleep(0)
    adding.cancel()
    async with asyncio.timeout(5):
        while await store.run("run-1") is None:  # noqa: ASYNC110 - it is another thread that writes
            await asyncio.sleep(0.001)
    await store.close()


async def test_runs_are_written_side_by_side_and_each_in_order(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    names = [f"run-{number}" for number in range(20)]

    async def fill(name: str) -> list[int]:
        await store.add(NewRun(name=name, flow="Research", inputs={}, code="c"))
        mine = await store.own(name, owner="one", lease_seconds=60)
        assert mine
        await asyncio.gather(*(store.tell(mine, "token", {"n": number}) for number in range(20)))
        return [event.number for event in await store.events(name)]

    assert await asyncio.gather(*map(fill, names)) == [list(range(1, 23))] * 20
    assert len(await store.runs(limit=100)) == 20
    await store.close()
