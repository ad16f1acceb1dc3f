"""``tiergate-deploy verify`` over an emulated Runpod that is a process of its own.

Each endpoint has a fault of its own. All are asked at once, so that their waits are one wait. It runs two hundred times
as fast as on Runpod.
"""

import contextlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import main
from deploy.fleet.state import read_state
from tests.acceptance.emulator_process import KEY, EmulatedEndpoint, EmulatorProcess

pytestmark = pytest.mark.integration
SPEED = 200.0
QUICK = {"pullSeconds": 2, "loadSeconds": 2}
TOOLS = {"tool_parser": "hermes"}
FAULTS: Mapping[str, Mapping[str, Any]] = {
    "good": {},
    "balanced": {},
    "crashing": {"crashLoop": True},
    "throttled": {"noCapacity": True},
    "failing": {"engineStatus": 500},
    "stuck": {"stuckJobs": True},
    "cut": {"cutAfter": 2},
}
ALTERED: Mapping[str, Mapping[str, Any]] = {
    "renamed": {"env": {"MODEL_NAME": "org/model-8B", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "somebody-elses"}},
    "default": {"env": {"HUGGING_FACE_HUB_MODEL_ID": "org/model-8B"}},
    "toolless": {"env": {"MODEL_NAME": "org/model-8B", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "org/model-8B"}},
    "paused": {"workers": {"min": 0, "max": 0}},
}
TIERS = [*FAULTS, *ALTERED, "gone"]


CHECKS = ["there", "a", "answers", "streams,", "calls", "keeps"]
"""By their first words, in their order."""
NEEDED = {"there", "a", "answers"}


class Verified:
    """What was found, by tier and check."""

    def __init__(self, status: int, text: str, said: str) -> None:
        self.status = status
        self.said = said
        self.told = json.loads(text)

    def of(self, tier: str) -> dict[str, Any]:
        """The tier's findings by the first word of their check."""
        found = [each for each in self.told["findings"] if each["subject"] == f"{tier}/0"]
        return {each["check"].split()[0]: each for each in found}


def tier_map(*tiers: str) -> dict[str, Any]:
    """A map whose tiers are all deployed."""
    made = {
        name: {
            "model": "org/model-8B",
            "gpu": "RTX 4090",
            "endpoints": [
                {"deploy": TOOLS, "workers": {"max": 1}}
                | ({"transport": "runpod-load-balancer"} if name == "balanced" else {})
            ],
            "context": 8192,
            "slots": 8,
        }
        for name in tiers
    }
    key = {"name": "demo", "key": "env:TIERGATE_DEMO_KEY"}
    return {"version": 1, "fleet": {"name": "verified", "quota": 1000}, "tiers": made, "keys": [key]}


@pytest.fixture(scope="module")
def runpod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("emulator"), python=sys.executable, speed=SPEED) as emulator:
        emulator.quota(1000)
        yield emulator


@pytest.fixture(scope="module")
def tiers(runpod: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tier map that was applied, and then spoiled."""
    file = tmp_path_factory.mktemp("map") / "tiers.yaml"
    file.write_text(json.dumps(tier_map(*TIERS)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNPOD_API_KEY", KEY)
        patch.setenv("TIERGATE_RUNPOD_URL", runpod.origin)
        for name in ("TIERGATE_TIERS", "TIERGATE_FLEET_STATE", "TIERGATE_RUNPOD_KEY", "TIERGATE_URL"):
            patch.delenv(name, raising=False)
        assert main(["apply", "--tiers", str(file)]) == 0
        state = read_state(file.with_suffix(".fleet.json"))
        for name in TIERS:
            one = state.endpoints[f"{name}/0"]
            EmulatedEndpoint(runpod, one.id, one.type).spoil(**QUICK, **FAULTS.get(name, {}))
            if name in ALTERED:
                runpod._call_in_turn("PATCH", f"/v2/serverless/{one.id}", ALTERED[name])
        assert runpod._answer("DELETE", f"/v2/serverless/{state.endpoints['gone/0'].id}", None)[0] == 204
        yield file


@pytest.fixture(scope="module")
def verified(tiers: Path) -> Verified:
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        status = main(["verify", "--tiers", str(tiers), "--json", "--wait-seconds", "8"])
    return Verified(status, out.getvalue(), said.getvalue())


@pytest.mark.parametrize("tier", ["good", "balanced"])
def test_a_good_endpoint_passes_every_check(verified: Verified, tier: str) -> None:
    """Through a queue and through a balancer."""
    assert {check: each["verdict"] for check, each in verified.of(tier).items()} == dict.fromkeys(CHECKS, "passed")


@pytest.mark.parametrize(
    ("where", "cause", "seen", "remedy"),
    [
        ("crashing a", "crash_loop", "RuntimeError: Engine core initialization failed", "set workers.max to 0"),
        ("throttled a", "no_capacity", "1 throttled", "name further GPUs or data centers"),
        ("paused there", "paused", "workers.max: 0", "`tiergate-deploy apply` raises it"),
        ("gone there", "gone", "the account has no endpoint", "makes it again"),
        ("renamed answers", "wrong_model", "served: somebody-elses", "the served name is not the tier's `model`"),
        ("default answers", "wrong_model", "served: Qwen/Qwen3-0.6B", "MODEL_NAME is missing"),
        ("failing answers", "engine_error", "vLLM returned HTTP 500", "see the worker's log"),
        ("stuck answers", "job_timed_out", "execution timeout exceeded", "where the worker died at its work"),
        ("cut streams,", "stream_broken", "", "ended in the middle of an answer"),
        ("toolless calls", "tools_off", "--enable-auto-tool-choice", "give the deployment its tool parser"),
    ],
)
def test_what_fails_is_named_with_what_was_seen_and_what_to_do(
    verified: Verified, where: str, cause: str, seen: str, remedy: str
) -> None:
    """And nothing that stands on it is asked."""
    tier, check = where.split(maxsplit=1)
    found = verified.of(tier)
    assert (found[check]["verdict"], found[check]["cause"]) == ("failed", cause)
    assert seen in "\n".join(found[check]["evidence"])
    assert remedy in found[check]["remedy"]
    failed = [each for each, told in found.items() if told["verdict"] == "failed"]
    assert failed == [check]
    if check in NEEDED:
        after = CHECKS[CHECKS.index(check) + 1 :]
        assert {found[each]["verdict"] for each in after} == {"skipped"}


def test_failures_are_an_exit_status_and_waits_are_told(verified: Verified) -> None:
    """What is above is not asked, since none was named."""
    assert (verified.status, verified.told["passed"]) == (1, False)
    assert "crashing/0: waiting for a worker, " in verified.said
    assert [each["verdict"] for each in verified.told["findings"] if each["layer"] == "gateway"] == ["skipped"]
    assert KEY not in verified.said + json.dumps(verified.told)


def test_a_wrong_key_is_found_at_the_bottom(tiers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is asked, and the text says where to begin."""
    (tmp_path / "key").write_text("rpa_somebody_elses", encoding="utf-8")
    assert main(["verify", "--tiers", str(tiers), "--runpod-key", f"file:{tmp_path / 'key'}"]) == 1
    shown = capsys.readouterr().out
    assert "FAILED  control plane: takes the key [ControlPlaneUnauthorized]" in shown
    assert "what to do: " in shown
    assert shown.splitlines()[-1].endswith("begin with control plane")
    assert "rpa_somebody_elses" not in shown


def test_what_is_not_deployed_yet_is_told(tiers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A map that nobody applied."""
    fresh = tiers.with_name("fresh.yaml")
    fresh.write_text(tiers.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["verify", "--tiers", str(fresh), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {each["cause"] for each in told["findings"] if each["layer"] == "endpoint"} == {"not_deployed"}


def test_an_interrupted_one_lets_its_jobs_go(runpod: EmulatorProcess, tiers: Path) -> None:
    """They would run later, and cost money."""
    deployed = read_state(tiers.with_suffix(".fleet.json")).endpoints["throttled/0"]
    endpoint = EmulatedEndpoint(runpod, deployed.id, deployed.type)
    words = [sys.executable, "-m", "deploy", "verify", "--tiers", str(tiers), "--wait-seconds", "600"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert any("throttled/0: waiting for a worker" in said for said in child.stderr)
        assert any(job.open for job in endpoint.jobs())
        child.send_signal(signal.SIGINT)
        assert "stopped" in child.stderr.read()
    assert child.returncode == 130
    assert not any(job.open for job in endpoint.jobs())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--inputs", "{"], "--inputs is no JSON"),
        (["--runpod-key", "rpa_in_the_open"], "was not given as a reference"),
        (["--gateway", "http://127.0.0.1:9", "--gateway-key", "env:NOT_SET"], "there is no secret in env:NOT_SET"),
    ],
)
def test_wrong_usage_is_status_2(
    tiers: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--tiers", str(tiers), *words]) == 2
    assert message in capsys.readouterr().err
