"""The slim set of packages is enough for Flows, and is the orchestrator's lock without what is written down."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.chat_server import Asked, ChatServer
from tests.orchestrator.slim_worker import LEFT_OUT, ROOT
from tests.orchestrator.test_examples import model

FORGETFUL = """
from crewai.flow.flow import Flow, start

class Forgetful(Flow):
    @start()
    def work(self):
        return self.recall("anything")
"""


def packages(lock: str) -> dict[str, str]:
    """Each package of a lock with its lines."""
    text = (ROOT / "locks" / lock).read_text(encoding="utf-8")
    return {block.split("==")[0]: block for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE) if block}


def test_the_slim_lock_is_the_whole_one_without_what_is_left_out() -> None:
    lines = [line for line in LEFT_OUT.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    reasons = {line.split()[0]: line.partition("# ")[2] for line in lines}
    whole = packages("orchestrator.txt")
    assert reasons.keys() <= whole.keys(), "what is left out is in the lock at all"
    assert all(reasons.values())
    assert list(reasons) == sorted(reasons)
    assert packages("orchestrator-slim.txt") == {name: lines for name, lines in whole.items() if name not in reasons}


@pytest.mark.integration
def test_every_example_runs_without_what_is_left_out(server: ChatServer, tmp_path: Path) -> None:
    """Memory is left out, too: a Flow that does not use it needs to say nothing, and one that does is told."""
    server.script = model_of_all
    (tmp_path / "tg_forgetful.py").write_text(FORGETFUL)
    done = subprocess.run(
        [sys.executable, "-m", "tests.orchestrator.slim_worker", server.url, f"{tmp_path}/tg_forgetful.py:Forgetful"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["loaded"] == []
    assert told["left_out"] > 20, "they are installed here, and hidden"
    outputs = told["outputs"]
    assert "No memory configured" in outputs.pop("Forgetful")
    assert outputs.pop("SupportTriageFlow").startswith("Ticket    technical")
    assert outputs["HumanReviewFlow"] == {"text": "<writer>", "approved": True}
    assert {name: output["text"] for name, output in outputs.items() if "text" in output}.keys() == {
        "ResearchReportFlow",
        "QualityLoopFlow",
        "HumanReviewFlow",
    }
    assert outputs["MapReduceFlow"]["findings"] == ["<scholar>"] * 3


def model_of_all(asked: Asked) -> str:
    """As the examples' model; it sorts, too."""
    sorts = asked.schema is not None and "about" in asked.schema["properties"]
    return json.dumps({"about": "a technical problem"}) if sorts else model(asked)
