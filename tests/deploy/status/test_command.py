"""``tiergate-deploy status`` over an emulated Runpod that is a process of its own."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cli import main
from deploy.fleet.state import read_state
from tests.acceptance.emulator_process import KEY, EmulatorProcess
from tests.deploy.verify.test_command import tier_map

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def runpod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("emulator"), python=sys.executable, speed=200.0) as emulator:
        yield emulator


@pytest.fixture
def tiers(runpod: EmulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    monkeypatch.setenv("TIERGATE_RUNPOD_URL", runpod.origin)
    for name in ("TIERGATE_TIERS", "TIERGATE_FLEET_STATE", "TIERGATE_RUNPOD_KEY"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "tiers.yaml"
    file.write_text(json.dumps(tier_map("good")), encoding="utf-8")
    return file


def test_what_is_there_is_told_and_what_differs_from_the_map(
    runpod: EmulatorProcess, tiers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the apply, after it, and when somebody has changed something by hand."""
    words = ["status", "--tiers", str(tiers), "--check"]
    assert main(words) == 3
    assert main(["apply", "--tiers", str(tiers)]) == 0
    capsys.readouterr()
    assert main(words) == 0
    assert "fleet verified" in capsys.readouterr().out
    [deployed] = read_state(tiers.with_suffix(".fleet.json")).endpoints.values()
    runpod._call_in_turn("PATCH", f"/v2/serverless/{deployed.id}", {"timeout": 1000})
    assert main([*words, "--json"]) == 3
    [told] = json.loads(capsys.readouterr().out)["endpoints"]
    assert (told["key"], told["id"], told["change"]) == ("good/0", deployed.id, "update")
    assert told["drift"] == [{"field": "timeout", "before": "1000", "after": "600000"}]
    assert main(["status", "--tiers", str(tiers)]) == 0


def test_nothing_is_told_without_a_key(
    tiers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RUNPOD_API_KEY")
    assert main(["status", "--tiers", str(tiers)]) == 2
    assert "there is no secret in env:RUNPOD_API_KEY" in capsys.readouterr().err
