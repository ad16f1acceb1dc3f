"""A worker behind the emulated load balancer outlives its idle time-out while it has a run that nobody asks about."""

import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.emulator_process import KEY, EmulatorProcess
from tests.doubles.chat_server import ChatServer

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

IDLE_SECONDS = 1
RUN_SECONDS = 4
BOUND_SECONDS = 30

FLOW = f"""
import asyncio
from crewai.flow.flow import Flow, start

class Slow(Flow):
    _skip_auto_memory = True

    @start()
    async def only(self):
        await asyncio.sleep({RUN_SECONDS})
        return "done"
"""


def test_a_run_in_the_background_keeps_its_worker_awake_and_no_longer(tmp_path: Path, gateway_python: str) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    serve = f"{sys.executable} -m orchestrator serve {tmp_path / 'flow.py'}:Slow --port {{port}}"
    with (
        ChatServer() as gateway,
        EmulatorProcess(tmp_path, python=gateway_python, speed=1, run=f"flows={serve}") as emulator,
    ):
        flows = emulator.endpoint(
            "flows",
            "LOAD_BALANCER",
            image="flows",
            workers={"min": 0, "max": 1, "idleTimeout": IDLE_SECONDS},
            env={
                "HEALTH_CHECK_PATH": "/ping",
                "TIERGATE_URL": gateway.url,
                "TIERGATE_KEY": "sk-test",
                "TIERGATE_RUNS": str(tmp_path / "runs"),
                "TIERGATE_EDGE_URL": f"{emulator.origin}/lb/{{endpoint}}",
                "RUNPOD_AI_API_KEY": KEY,
            },
        )
        flows.mend()
        begun = emulator.call("POST", f"/lb/{flows.id}/flows/Slow/runs", {"run": "run-1"})
        assert begun["status"] in {"queued", "running"}
        ends_at = time.monotonic() + BOUND_SECONDS
        while any(worker["state"] == "running" for worker in flows.workers()):
            assert time.monotonic() < ends_at, "it never slept"
            time.sleep(0.1)
        [log] = (tmp_path / "logs").glob("worker-*.log")
        assert "run run-1: Slow succeeded" in log.read_text()
        assert "keep-alive" not in log.read_text()
