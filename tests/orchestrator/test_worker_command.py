"""``tiergate-orchestrator worker`` as a process, with Runpod's own SDK.

On an emulated Runpod it is in ``tests/acceptance/crewai/test_batch.py``.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.doubles.job_queue import JobQueue, job_queue
from tests.store_servers import free_port

pytest.importorskip("runpod", reason="Runpod's SDK is not installed: the extra 'batch'")

FLOW = """
import os, pathlib, signal
from crewai.flow.flow import Flow, listen, start
from pydantic import BaseModel

HERE = pathlib.Path(__file__).parent

class State(BaseModel):
    topic: str = ""
    dies: bool = False

class Tea(Flow[State]):
    @start()
    async def one(self):
        with (HERE / "begun").open("a") as file:
            file.write("one\\n")
        return f"about {self.state.topic}"

    @listen(one)
    async def two(self, said):
        if self.state.dies and not (HERE / "died").exists():
            (HERE / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return said.upper()

    @listen(two)
    async def three(self, said):
        if self.state.topic == "trouble":
            raise ValueError("no tea today")
        return said
"""
JOB_SECONDS_MAX = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the Flow is."""
    (tmp_path / "flow.py").write_text(FLOW, encoding="utf-8")
    return tmp_path


def command(*sdk: str) -> list[str]:
    """The worker's command line."""
    return [sys.executable, "-m", "orchestrator", "worker", "flow.py:Tea", *(["--sdk", *sdk] if sdk else [])]


def environment(**more: str) -> Mapping[str, str]:
    """A worker's; no gateway is needed for a Flow without agents."""
    root = str(Path(__file__).parents[2])
    return {**os.environ, "TIERGATE_URL": "http://127.0.0.1:9/v1", "TIERGATE_KEY": "sk-x", "PYTHONPATH": root, **more}


@contextmanager
def working(folder: Path, queue: JobQueue) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the queue; told to end after the block."""
    with (folder / "worker.log").open("ab") as log:
        worker = subprocess.Popen(
            command(), cwd=folder, env=environment(**queue.environment), stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield worker
            worker.terminate()
            worker.wait(timeout=30)
        finally:
            # The SDK's pings are a process of their own, which outlives a worker that was killed.
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def test_a_try_of_the_sdk_runs_a_flow_and_ends(folder: Path) -> None:
    job = json.dumps({"id": "job-1", "input": {"flow": "Tea", "inputs": {"topic": "tea"}}})
    done = subprocess.run(
        command("--rp_log_level", "INFO", "--test_input", job),
        cwd=folder, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'status': 'succeeded'" in done.stdout
    assert "ABOUT TEA" in done.stdout
    assert "job job-1: run job-1: Tea succeeded" in done.stderr


def test_the_local_api_of_the_sdk_tells_refusals_and_failures_without_tracebacks(folder: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        command("--rp_serve_api", "--rp_api_port", str(port), "--rp_api_host", "127.0.0.1"),
        cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as served:  # fmt: skip
        try:
            assert served.stdout is not None
            for line in served.stdout:
                if b"Uvicorn running" in line:
                    break
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                good = client.post("/runsync", json={"input": {"inputs": {"topic": "tea"}}}).json()
                assert good["output"]["output"] == "ABOUT TEA"
                refused = client.post("/runsync", json={"input": {"inputs": {"topic": 5}}}).json()
                assert json.loads(refused["error"])["type"] == "inputs_refused"
                failed = client.post("/runsync", json={"input": {"inputs": {"topic": "trouble"}}}).json()
                told = json.loads(failed["error"])
                assert (told["type"], told["step"]) == ("ValueError", "three#1")
                assert "Traceback" not in failed["error"]
        finally:
            served.terminate()


def test_a_worker_takes_several_jobs_at_once_and_ends_them_before_it_ends(folder: Path) -> None:
    """Nor does the file of a dead worker's jobs, which SDKs before 1.10 look for, keep it from taking any."""
    (folder / ".runpod_jobs.pkl").write_bytes(pickle.dumps({"ghost"}))
    with job_queue() as queue:
        for number in range(5):
            queue.add(f"job-{number}", inputs={"topic": f"tea {number}"})
        with working(folder, queue) as worker:
            done = dict(queue.done.get(timeout=JOB_SECONDS_MAX) for _ in range(5))
        assert worker.returncode == 0
    assert {body["output"]["output"] for body in done.values()} == {f"ABOUT TEA {number}" for number in range(5)}
    log = (folder / "worker.log").read_text(encoding="utf-8")
    assert "DEBUG" not in log
    assert "ABOUT TEA" not in log
