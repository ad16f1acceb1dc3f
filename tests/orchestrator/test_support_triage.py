"""The example Flow: each topic takes its own branch, over both tiers, and every agent is bound to the tier it names."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.flow import FlowClass, load_flow, run_flow
from tests.doubles.chat_server import Asked, ChatServer, Script

FLOW_FILE = Path(__file__).parents[2] / "examples" / "support_triage" / "flow.py"

pytestmark = pytest.mark.usefixtures("settings")


def model_that_reads(about: str) -> Script:
    """A model that sorts every message as ``about`` and otherwise answers with its task's name."""

    def script(asked: Asked) -> str:
        return json.dumps({"about": about}) if asked.schema else f'"{asked.headers["x-tiergate-task"]}ed"'

    return script


@pytest.fixture
def triage() -> Iterator[FlowClass]:
    """The example's class; its folder is off the path again afterwards."""
    path = list(sys.path)
    yield load_flow(f"{FLOW_FILE}:SupportTriageFlow")
    sys.path[:] = path


@pytest.mark.parametrize(
    ("about", "category", "steps", "findings"),
    [
        ("a payment", "billing", ["classify", "apologise", "explain"], "A wrong charge is paid back"),
        (
            "a technical problem",
            "technical",
            ["classify", "investigate", "apologise", "explain"],
            "investigateed",
        ),
        ("a general question", "other", ["classify", "apologise", "explain"], "A colleague will read"),
    ],
)
async def test_each_topic_takes_its_branch(
    server: ChatServer, triage: FlowClass, *, about: str, category: str, steps: list[str], findings: str
) -> None:
    server.script = model_that_reads(about)
    result = await run_flow(triage, {"customer": "Grace"})
    assert result.state["category"] == category
    assert str(result.state["findings"]).startswith(findings)
    assert [asked.headers["x-tiergate-step"] for asked in server.asked] == steps
    assert [asked.model for asked in server.asked] == ["routing"] + ["reasoning"] * (len(steps) - 1)
    assert str(result.output).endswith("Dear Grace,\n\napologiseed\nexplained\n\nYour support team")


async def test_what_a_step_found_is_in_the_next_step_s_prompt(server: ChatServer, triage: FlowClass) -> None:
    server.script = model_that_reads("a technical problem")
    await run_flow(triage, {"message": "The door is stuck."})
    prompts = {asked.headers["x-tiergate-task"]: asked.prompt for asked in server.asked}
    assert "investigateed" in prompts["explain"]
    assert all("The door is stuck." in prompts[task] for task in ("classify", "investigate", "apologise"))


async def test_only_the_reasoning_tier_streams_and_every_answer_is_bounded(
    server: ChatServer, triage: FlowClass
) -> None:
    server.script = model_that_reads("a technical problem")
    await run_flow(triage)
    for asked in server.asked:
        assert bool(asked.body.get("stream")) is (asked.model == "reasoning")
        assert asked.body["max_tokens"] <= 120
        assert asked.body["temperature"] == 0
