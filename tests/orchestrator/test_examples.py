"""The example Flows: each goes its way over the tiers that it names, also when its worker ends after every step."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue

from orchestrator.flow import FlowClass, load_flow
from orchestrator.runs.run import Run
from tests.doubles.chat_server import Asked, ChatServer
from tests.orchestrator.runs.desk import desk_in
from tests.orchestrator.runs.test_example import Interrupted
from tests.orchestrator.test_cli import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True, kw_only=True)
class Example:
    """One of them, what it is asked, and what comes of it."""

    folder: str
    flow: str
    inputs: Mapping[str, JsonValue]
    calls: tuple[tuple[str, str], ...]
    """Each call's tier and step, in order; those of steps side by side in any."""
    output: Mapping[str, JsonValue]

    @property
    def target(self) -> str:
        """As the command line names it."""
        return f"{EXAMPLES}/{self.folder}/flow.py:{self.flow}"


RESEARCH = Example(
    folder="research_report",
    flow="ResearchReportFlow",
    inputs={"topic": "tides"},
    calls=(("routing", "research"), ("reasoning", "write")),
    output={"topic": "tides", "facts": ["One.", "Two."], "text": "<writer>"},
)
MAP = Example(
    folder="map_reduce",
    flow="MapReduceFlow",
    inputs={"place": "Porto"},
    calls=(
        ("routing", "study_history"),
        ("routing", "study_nature"),
        ("routing", "study_trade"),
        ("reasoning", "compare"),
    ),
    output={"place": "Porto", "findings": ["<scholar>"] * 3, "summary": "<editor>"},
)
LOOP = Example(
    folder="quality_loop",
    flow="QualityLoopFlow",
    inputs={"request": "Say hello."},
    calls=(("routing", "draft"), ("routing", "judge")) * 2 + (("reasoning", "rewrite"),),
    output={"text": "<author>", "drafts": 2, "escalated": True},
)
ALONE = (RESEARCH, MAP, LOOP)
LETTER = f"{EXAMPLES}/human_review/flow.py:HumanReviewFlow"


def model(asked: Asked) -> str:
    """Fills a schema, finds every draft bad and every person content, and otherwise answers with its agent's name."""
    properties = asked.schema["properties"] if asked.schema else {}
    known = {"first": "One.", "second": "Two.", "quality": "not good", "outcome": "approved"}
    if properties:
        return json.dumps({name: known[name] for name in properties})
    return f"<{asked.headers['x-tiergate-agent']}>"


def calls(server: ChatServer) -> list[tuple[str, str]]:
    """What was asked so far: tier and step."""
    return [(asked.model, asked.headers["x-tiergate-step"]) for asked in server.asked]


@contextmanager
def loaded(target: str) -> Iterator[FlowClass]:
    """An example's class; its folder is off the path again afterwards."""
    path = list(sys.path)
    try:
        yield load_flow(target)
    finally:
        sys.path[:] = path


async def carried_on(folder: Path, flow: FlowClass, inputs: Mapping[str, JsonValue]) -> Run:
    """A run whose worker ends after each step that it keeps, until it comes to rest."""
    store = Interrupted(folder, unix=lambda: 1.0)
    async with desk_in(folder / "unused", flow, store=store) as desk:
        await store.add(desk.asked(flow.__name__, inputs))
        run = None
        while run is None or not (run.state.ended or run.question):
            store.worker = asyncio.ensure_future(desk.runner.work("run-1"))
            await asyncio.wait({store.worker})
            run = await store.run("run-1")
    await store.close()
    return run


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("example", ALONE, ids=lambda example: example.folder)
async def test_it_goes_its_way_over_the_tiers_that_it_names(
    example: Example, server: ChatServer, tmp_path: Path
) -> None:
    server.script = model
    with loaded(example.target) as flow:
        async with desk_in(tmp_path / "whole", flow) as desk:
            run = await desk.run(example.flow, example.inputs)
    assert (run.state, run.output) == ("succeeded", example.output)
    assert sorted(calls(server)[:3]) + calls(server)[3:] == sorted(example.calls[:3]) + list(example.calls[3:])


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("example", ALONE, ids=lambda example: example.folder)
async def test_a_new_worker_after_every_step_changes_nothing(
    example: Example, server: ChatServer, tmp_path: Path
) -> None:
    """Only what was under way beside a step that ended is asked again: the starts of a join."""
    server.script = model
    with loaded(example.target) as flow:
        run = await carried_on(tmp_path, flow, example.inputs)
    assert (run.state, run.output) == ("succeeded", example.output)
    assert run.attempts > len(example.calls)
    beside = [call for call in calls(server) if call[1].startswith("study_")]
    alone = [call for call in calls(server) if call not in beside]
    assert alone == [call for call in example.calls if call not in beside]
    assert set(beside) == {call for call in example.calls if call in beside}


@pytest.mark.usefixtures("settings")
async def test_facts_are_bounded_by_the_schema_that_is_sent(server: ChatServer, tmp_path: Path) -> None:
    server.script = model
    with loaded(RESEARCH.target) as flow:
        async with desk_in(tmp_path, flow) as desk:
            await desk.run(RESEARCH.flow)
    schema = server.asked[0].schema
    assert schema is not None
    assert [field["maxLength"] for field in schema["properties"].values()] == [160, 160]


@pytest.mark.usefixtures("settings")
async def test_a_draft_that_passes_the_gate_asks_no_strong_tier(server: ChatServer, tmp_path: Path) -> None:
    server.script = lambda asked: '{"quality": "good"}' if asked.schema else "Hello."
    with loaded(LOOP.target) as flow:
        async with desk_in(tmp_path, flow) as desk:
            run = await desk.run(LOOP.flow, LOOP.inputs)
    assert run.output == {"text": "Hello.", "drafts": 1, "escalated": False}
    assert {tier for tier, _ in calls(server)} == {"routing"}


@pytest.mark.usefixtures("settings")
async def test_a_person_who_wishes_changes_gets_them(server: ChatServer, tmp_path: Path) -> None:
    """Asked once, though each worker ends after a step; silence is a wish for changes."""
    server.script = model
    with loaded(LETTER) as flow:
        run = await carried_on(tmp_path, flow, {"customer": "Grace"})
        assert run.question is not None
        assert (run.question.message, run.question.output) == ("May this letter be sent?", "<writer>")
        async with desk_in(tmp_path, flow) as desk:
            assert await desk.store.answer("run-1", "")
            run = await desk.work()
    assert (run.state, run.output) == ("succeeded", {"text": "<editor>", "approved": False})
    assert calls(server) == [("reasoning", "write"), ("reasoning", "revise")]


@pytest.fixture
def app(server: ChatServer, tmp_path: Path) -> Iterator[httpx.Client]:
    """One worker that serves them all."""
    server.script = model
    port = free_port()
    targets = [*(example.target for example in ALONE), LETTER]
    command = [sys.executable, "-m", "orchestrator", "serve", *targets, "--port", str(port)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIERGATE_")}
    given = {"TIERGATE_URL": server.url, "TIERGATE_KEY": "sk-test-key", "TIERGATE_RUNS": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env={**kept, **given}, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            assert any(b"ready" in line for line in process.stderr)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
                yield client
        finally:
            process.kill()


@pytest.mark.integration
def test_one_worker_serves_them_all_and_a_person_answers_over_http(app: httpx.Client) -> None:
    for example in ALONE:
        answer = app.post(f"/flows/{example.flow}", json={"inputs": example.inputs})
        assert (answer.status_code, answer.json()["output"]) == (200, example.output), answer.text
    waiting = app.post("/flows/HumanReviewFlow", json={"run": "letter-1"})
    assert (waiting.status_code, waiting.json()["status"]) == (202, "waiting")
    assert waiting.json()["question"]["outcomes"] == ["approved", "changes"]
    assert app.post("/runs/letter-1/feedback", json={"feedback": "Yes, please."}).status_code == 202
    ended = app.get("/runs/letter-1", params={"wait_seconds": "30"}).json()
    assert (ended["status"], ended["output"]) == ("succeeded", {"text": "<writer>", "approved": True})
