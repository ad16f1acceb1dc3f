"""A fleet that serves, verified from the control plane up to one Flow: everything but the Flow's own code is real."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cli import main
from tests.acceptance.conftest import DEMO, ENVIRONMENT
from tests.acceptance.conftest import KEY as GATEWAY_KEY
from tests.acceptance.emulated_system import TIMEOUTS
from tests.acceptance.emulator_process import KEY, EmulatorProcess
from tests.acceptance.gateway_process import ROOT, GatewayProcess

pytestmark = pytest.mark.acceptance
SPEED = 100.0
IMAGE = "acme/flows:1"
FLOWS = f"{sys.executable} {ROOT / 'tests/doubles/hosted_flows.py'} {{port}}"
MAP = {
    "version": 1,
    "fleet": {"quota": 100, "orchestrator": {"image": IMAGE}},
    "tiers": {
        "routing": {
            "model": "org/model-8B",
            "gpu": "RTX 4090",
            "endpoints": [{"deploy": {"tool_parser": "hermes"}, "workers": {"max": 1, "idle_timeout": "1h"}}],
            "context": 8192,
            "slots": 8,
            "timeouts": TIMEOUTS,
        }
    },
    "keys": [DEMO],
}


@pytest.fixture
def runpod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorProcess]:
    folder = tmp_path / "emulator"
    folder.mkdir()
    with EmulatorProcess(folder, python=sys.executable, speed=SPEED, run=f"{IMAGE}={FLOWS}") as emulator:
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        monkeypatch.setenv("TIERGATE_RUNPOD_URL", emulator.origin)
        monkeypatch.setenv("THE_GATEWAYS_KEY", GATEWAY_KEY)
        monkeypatch.delenv("TIERGATE_FLEET_STATE", raising=False)
        yield emulator


def test_a_fleet_that_serves_passes_every_check(
    runpod: EmulatorProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody needs to name more than the gateway and a Flow; no key is shown."""
    folder = tmp_path / "gateway"
    folder.mkdir()
    environment = {**ENVIRONMENT, "TIERGATE_RUNPOD_SPEED": str(runpod.speed)}
    gateway = GatewayProcess(folder, MAP, key=GATEWAY_KEY, python=sys.executable, environment=environment)
    tiers = ["--tiers", str(folder / "tiers.yaml")]
    assert main(["apply", *tiers]) == 0
    capsys.readouterr()
    with gateway:
        above = ["--gateway", gateway.url, "--gateway-key", "env:THE_GATEWAYS_KEY"]
        flow = ["--flow", "Triage", "--inputs", '{"topic": "tides"}']
        assert main(["verify", *tiers, *above, *flow, "--json", "--wait-seconds", "60"]) == 0
        told = capsys.readouterr().out
        assert main(["verify", *tiers, *above, "--flow", "Unknown"]) == 1
        failed = capsys.readouterr().out
    findings = json.loads(told)["findings"]
    assert {(each["layer"], each["verdict"]) for each in findings} == {
        (layer, "passed") for layer in ("control plane", "endpoint", "gateway", "orchestrator", "Flow")
    }
    assert findings[-1]["evidence"] == ["r1: succeeded, 3 steps", "the tide is high"]
    assert "FAILED  Flow Unknown: runs to its end [flow_unknown]" in failed
    assert "what to do: see GET /flows" in failed
    assert GATEWAY_KEY not in told
    assert KEY not in told
