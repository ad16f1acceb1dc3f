"""Flows as jobs of an emulated Runpod's queue, taken by Runpod's own SDK."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.emulator_process import EmulatedEndpoint, EmulatorProcess
from tests.doubles.chat_server import ChatServer
from tests.orchestrator.test_worker_command import FLOW

pytest.importorskip("runpod", reason="Runpod's SDK is not installed: the extra 'batch'")

JOB_SECONDS_MAX = 60.0


def ended(emulator: EmulatorProcess, flows: EmulatedEndpoint, job: str) -> dict[str, Any]:
    """The job when it has ended, as Runpod tells it."""
    deadline = time.monotonic() + JOB_SECONDS_MAX
    while True:
        told: dict[str, Any] = emulator.call("GET", f"/v2/{flows.id}/status/{job}")
        if told["status"] not in {"IN_QUEUE", "IN_PROGRESS"}:
            return told
        assert time.monotonic() < deadline, told
        time.sleep(0.1)


def test_jobs_are_runs_and_one_whose_worker_died_goes_on(tmp_path: Path, gateway_python: str) -> None:
    (tmp_path / "flow.py").write_text(FLOW, encoding="utf-8")
    work = f"{sys.executable} -m orchestrator worker {tmp_path / 'flow.py'}:Tea"
    with (
        ChatServer() as gateway,
        EmulatorProcess(tmp_path, python=gateway_python, speed=1, run=f"flows={work}") as emulator,
    ):
        flows = emulator.endpoint(
            "flows",
            "QUEUE",
            image="flows",
            workers={"min": 0, "max": 1, "idleTimeout": 60},
            env={"TIERGATE_URL": gateway.url, "TIERGATE_KEY": "sk-test", "TIERGATE_RUNS": str(tmp_path / "runs")},
        )
        flows.mend()
        asked = {
            "good": {"inputs": {"topic": "tea"}},
            "refused": {"inputs": {"topic": 5}},
            "dies": {"inputs": {"topic": "milk", "dies": True}},
        }
        jobs = {
            name: emulator.call("POST", f"/v2/{flows.id}/run", {"input": each})["id"] for name, each in asked.items()
        }
        told = {name: ended(emulator, flows, job) for name, job in jobs.items()}
    assert told["good"]["status"] == "COMPLETED"
    assert told["good"]["output"][0]["output"] == "ABOUT TEA"
    assert told["refused"]["status"] == "FAILED"
    assert json.loads(told["refused"]["error"])["type"] == "inputs_refused"
    assert told["dies"]["status"] == "COMPLETED"
    assert told["dies"]["retries"] >= 1
    [document] = told["dies"]["output"]
    assert (document["run"], document["output"], document["steps"]) == (jobs["dies"], "ABOUT MILK", 3)
    # Once for each run: the step that was kept was not done again.
    assert (tmp_path / "begun").read_text(encoding="utf-8") == "one\n" * 2
