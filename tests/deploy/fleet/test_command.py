"""The commands over an emulated Runpod that is a process of its own, as operators give them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cli import main
from deploy.fleet.state import Applying, FleetState, exclusive, read_state, write_state
from tests.acceptance.emulator_process import KEY, EmulatorProcess

pytestmark = pytest.mark.integration
FAULTS = "/emulator/control-plane"
BOUND_SECONDS = 20.0


@pytest.fixture(scope="module")
def runpod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("emulator"), python=sys.executable, speed=200.0) as emulator:
        emulator.quota(1000)
        yield emulator


class Operator:
    """A person with a tier map and a terminal. Every test's fleet has a name of its own."""

    def __init__(self, runpod: EmulatorProcess, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.runpod = runpod
        self.folder = folder
        self.fleet: dict[str, Any] = {"name": f"fleet-{zlib.crc32(bytes(folder)):08x}", "quota": 1000}
        self.tiers = folder / "tiers.yaml"
        self._capsys = capsys
        self.write("a", "b")

    def write(self, *tiers: str, **deploy: object) -> None:
        """A map with these tiers, each deployed."""
        tier = {
            "model": "org/model-8B",
            "gpu": "RTX 4090",
            "endpoints": [{"deploy": deploy, "workers": {"max": 2}}],
            "context": 8192,
            "slots": 8,
        }
        key = {"name": "demo", "key": "env:TIERGATE_DEMO_KEY"}
        told = {"version": 1, "fleet": self.fleet, "tiers": dict.fromkeys(tiers, tier), "keys": [key]}
        self.tiers.write_text(json.dumps(told), encoding="utf-8")

    def give(self, *words: str) -> tuple[int, str, str]:
        """Give a command; its exit status and what it prints."""
        self._capsys.readouterr()
        status = main([*words, "--tiers", str(self.tiers)])
        return (status, *self._capsys.readouterr())

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Give it to a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "deploy", *words, "--tiers", str(self.tiers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ},
        )

    @property
    def state(self) -> FleetState:
        """What is on the disk."""
        return read_state(self.folder / "tiers.fleet.json")

    def endpoints(self) -> dict[str, Any]:
        """The account's endpoints of this fleet, by id."""
        told = self.runpod._call_in_turn("GET", "/v2/serverless", None)["endpoints"]
        return {one["id"]: one for one in told if one["name"].startswith(f"{self.fleet['name']}-")}

    def spoil(self, **faults: object) -> None:
        """Switch faults of the control plane on."""
        self.runpod.call("PATCH", FAULTS, faults)


@pytest.fixture
def operator(
    runpod: EmulatorProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Operator]:
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    monkeypatch.setenv("TIERGATE_RUNPOD_URL", runpod.origin)
    for name in ("TIERGATE_TIERS", "TIERGATE_FLEET_STATE", "TIERGATE_RUNPOD_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield Operator(runpod, tmp_path, capsys)
    runpod.call("DELETE", FAULTS)


def test_a_plan_is_made_reviewed_and_applied_and_then_there_is_nothing_to_do(operator: Operator) -> None:
    """The state has the addresses that the gateway reads."""
    plan = str(operator.folder / "plan.json")
    status, text, _ = operator.give("plan", "--out", plan, "--check")
    assert (status, "2 to make" in text) == (3, True)
    assert operator.endpoints() == {}
    status, text, said = operator.give("apply", "--plan", plan)
    assert (status, "[2/2] create endpoint b/0" in said) == (0, True)
    assert {one.id for one in operator.state.endpoints.values()} == set(operator.endpoints())
    assert operator.state.endpoints["a/0"].url.startswith(f"{operator.runpod.origin}/v2/")
    for words in (("plan", "--check"), ("apply",), ("apply", "--plan", plan)):
        status, text, _ = operator.give(*words)
        assert (status, "nothing to change" in text) == (0, True)
    assert len(operator.endpoints()) == 2


def test_every_form_is_printed(operator: Operator) -> None:
    status, text, _ = operator.give("plan", "--json")
    assert (status, len(json.loads(text)["changes"])) == (0, 2)
    assert "| + | make endpoint `a/0` |" in operator.give("plan", "--format", "markdown")[1]
    status, text, _ = operator.give("apply", "--json")
    assert json.loads(text) == {"done": ["create endpoint a/0", "create endpoint b/0"], "left": [], "error": None}


def test_what_stops_it_is_json_too(operator: Operator) -> None:
    """Refused by us, or by Runpod half way."""
    operator.fleet["quota"] = 1
    operator.write("a")
    status, text, _ = operator.give("apply", "--json")
    told = json.loads(text)
    assert (status, told["done"], "its quota is 1" in told["error"]) == (4, [], True)
    assert "`fleet.quota`" in told["remedy"]
    operator.fleet["quota"] = 1000
    operator.fleet["orchestrator"] = {"image": "acme/flows:none"}
    operator.write("a")
    operator.spoil(missingImages=["acme/flows:none"])
    status, text, _ = operator.give("apply", "--json")
    told = json.loads(text)
    assert (status, told["done"]) == (1, ["create endpoint a/0"])
    assert told["left"] == ["create endpoint orchestrator"]


def test_a_refusal_half_way_says_what_is_done_and_left_and_the_next_apply_goes_on(operator: Operator) -> None:
    operator.fleet["orchestrator"] = {"image": "acme/flows:none"}
    operator.write("a", "z")
    plan = str(operator.folder / "plan.json")
    operator.give("plan", "--out", plan)
    operator.spoil(missingImages=["acme/flows:none"])
    status, _, said = operator.give("apply", "--plan", plan)
    assert status == 1
    assert "done: create endpoint a/0\n" in said
    assert "left: create endpoint orchestrator, create endpoint z/0" in said
    assert "$.image: image 'acme/flows:none' does not exist" in said
    assert len(operator.endpoints()) == 1
    operator.spoil(missingImages=[])
    status, text, _ = operator.give("apply", "--plan", plan)
    assert status == 0
    assert re.search(
        r"note: an apply of plan \w+ was stopped; done: create endpoint a/0; left: create endpoint o", text
    )
    assert sorted(operator.state.endpoints) == ["a/0", "orchestrator", "z/0"]
    assert (len(operator.endpoints()), operator.state.applying) == (3, None)


def test_429_is_obeyed_and_a_lost_answer_makes_nothing_twice(operator: Operator) -> None:
    started = time.monotonic()
    operator.spoil(status=429, remaining=1, lostAnswers=1)
    status, _, said = operator.give("apply")
    assert status == 0
    assert time.monotonic() - started >= 1.0
    assert "no answer; looking for" in said
    assert len(operator.endpoints()) == 2


def test_a_conflict_is_told_and_nothing_is_made(operator: Operator) -> None:
    operator.spoil(status=409)
    status, _, said = operator.give("apply")
    assert (status, "status 409: switched on by the emulator's own API" in said) == (1, True)
    operator.spoil(status=None)
    assert operator.endpoints() == {}


def test_a_lost_answer_of_a_change_is_asked_for_again(operator: Operator) -> None:
    operator.give("apply")
    operator.write("a", "b", timeout="5m")
    operator.spoil(lostAnswers=1)
    assert operator.give("apply")[0] == 0
    assert {one["timeout"] for one in operator.endpoints().values()} == {300_000}


def test_one_that_is_killed_half_way_is_gone_on_with(operator: Operator) -> None:
    """However far it was, nothing is made twice."""
    operator.write(*"abcdef")
    process = operator.start("apply")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("[3/6]"):
            process.kill()
            break
    process.communicate()
    assert 2 <= len(operator.endpoints()) < 6
    assert operator.state.applying is not None
    assert operator.state.applying.changes["create endpoint a/0"] == "done"
    status, text, _ = operator.give("apply")
    assert (status, "was stopped; done: create endpoint a/0" in text) == (0, True)
    assert sorted(operator.state.endpoints) == [f"{name}/0" for name in "abcdef"]
    assert len(operator.endpoints()) == 6


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_that_is_interrupted_says_what_is_left(operator: Operator, number: signal.Signals, status: int) -> None:
    operator.write(*"abc")
    operator.give("apply")
    operator.write("c")
    process = operator.start("apply", "--allow-unsafe")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("[1/2]"):
            process.send_signal(number)
            break
    _, said = process.communicate(timeout=BOUND_SECONDS)
    assert (process.returncode, "left: delete endpoint a/0" in said) == (status, True)
    assert len(operator.endpoints()) == 3, "it was waiting for the requests to end"


def test_a_plan_that_is_no_longer_what_would_be_done_is_refused(operator: Operator) -> None:
    plan = str(operator.folder / "plan.json")
    operator.give("plan", "--out", plan)
    operator.write("a", "b", "c")
    status, _, said = operator.give("apply", "--plan", plan)
    assert (status, "create endpoint c/0 was not in it" in said) == (4, True)
    assert operator.endpoints() == {}


def test_what_cannot_be_undone_needs_a_second_word(operator: Operator) -> None:
    operator.give("apply")
    operator.write("a")
    status, text, said = operator.give("apply")
    assert (status, "UNSAFE: deletes an endpoint" in text, "--allow-unsafe" in said) == (4, True, True)
    assert len(operator.endpoints()) == 2
    assert operator.give("apply", "--allow-unsafe", "--drain-seconds", "0")[0] == 0
    assert sorted(operator.state.endpoints) == ["a/0"]


def test_the_quota_is_checked_before_anything_is_made(operator: Operator) -> None:
    operator.fleet["quota"] = 3
    operator.write("a", "b")
    status, text, said = operator.give("apply")
    assert (status, "its quota is 3" in said, "PROBLEM" in text) == (4, True, True)
    assert operator.endpoints() == {}


def test_a_foreign_endpoint_is_left_alone_unless_it_is_adopted(operator: Operator) -> None:
    theirs = operator.runpod.endpoint(f"{operator.fleet['name']}-a-0", "QUEUE")
    beside = operator.runpod.endpoint(f"{operator.fleet['name']}-x", "QUEUE")
    status, _, said = operator.give("apply")
    assert (status, f"tiergate-deploy adopt a/0 {theirs.id}" in said) == (4, True)
    assert operator.give("adopt", "a/0", theirs.id)[0] == 0
    status, text, _ = operator.give("plan")
    assert f"~ endpoint a/0: {operator.fleet['name']}-a-0 ({theirs.id})" in text
    status, text, _ = operator.give("apply")
    assert (status, operator.endpoints()[theirs.id]["env"]["MODEL_NAME"]) == (0, "org/model-8B")
    assert operator.give("destroy", "--allow-unsafe", "--drain-seconds", "0")[0] == 0
    assert list(operator.endpoints()) == [beside.id]


def test_not_every_endpoint_can_be_adopted(operator: Operator) -> None:
    balanced = operator.runpod.endpoint("theirs", "LOAD_BALANCER")
    operator.give("apply")
    own = operator.state.endpoints["a/0"].id
    assert operator.give("adopt", "c/0", balanced.id)[0] == 2
    assert operator.give("adopt", "a/0", "none")[0] == 2
    assert "is" in operator.give("adopt", "a/0", balanced.id)[2]
    assert operator.give("adopt", "b/0", own)[0] == 4
    operator.runpod._answer("DELETE", f"/v2/serverless/{own}", None)
    status, _, said = operator.give("adopt", "a/0", balanced.id)
    assert (status, "its type changes from LOAD_BALANCER to QUEUE" in said) == (4, True)
    another = operator.runpod.endpoint("another", "QUEUE")
    status, text, _ = operator.give("adopt", "a/0", another.id, "--json")
    assert json.loads(text)["adopted"]["id"] == another.id
    assert operator.state.endpoints["a/0"].adopted


def test_destroy_says_what_it_would_delete_and_deletes_with_a_second_word(operator: Operator) -> None:
    operator.give("apply")
    status, text, _ = operator.give("destroy")
    assert (status, text.count("UNSAFE: deletes an endpoint")) == (4, 2)
    assert len(operator.endpoints()) == 2
    assert operator.give("destroy", "--allow-unsafe", "--drain-seconds", "0")[0] == 0
    assert (operator.endpoints(), dict(operator.state.endpoints)) == ({}, {})
    assert operator.give("destroy", "--allow-unsafe")[0] == 0


def test_a_volume_a_login_and_a_secret_are_made_from_references(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their values are in no plan and no state."""
    name = operator.fleet["name"]
    secret = f"hf_{name.replace('-', '_')}"
    operator.fleet |= {
        "secrets": {secret: "env:HF_VALUE"},
        "registry": {"name": f"{name}-hub", "username": "env:HUB_USER", "password": "env:HUB_PASSWORD"},
        "volume": {"name": f"{name}-models", "size": 50, "data_center": "EU-RO-1"},
        "env": {"HUGGING_FACE_HUB_TOKEN": f"{{{{ RUNPOD_SECRET_{secret} }}}}"},
    }
    operator.write("a")
    for variable in ("HF_VALUE", "HUB_USER", "HUB_PASSWORD"):
        monkeypatch.setenv(variable, f"very-secret-{variable}")
    plan = operator.folder / "plan.json"
    assert operator.give("plan", "--out", str(plan))[0] == 0
    status, text, said = operator.give("apply", "--plan", str(plan))
    assert status == 0
    [one] = operator.endpoints().values()
    assert (one["dataCenterIds"], len(one["networkVolumes"])) == (["EU-RO-1"], 1)
    assert one["registry"]
    told = text + said + plan.read_text() + (operator.folder / "tiers.fleet.json").read_text()
    assert "very-secret" not in told
    assert operator.give("plan", "--check")[0] == 0


def test_wrong_usage_is_told(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERGATE_TIERS", str(operator.tiers))
    assert main(["plan"]) == 0
    monkeypatch.delenv("TIERGATE_TIERS")
    assert main(["plan"]) == 2
    with exclusive(operator.folder / "tiers.fleet.json"):
        status, _, said = operator.give("apply")
        assert (status, "another tiergate-deploy is changing the fleet" in said) == (2, True)
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_wrong")
    status, _, said = operator.give("plan")
    assert (status, "status 401" in said, "rpa_wrong" in said) == (1, True, False)
    monkeypatch.delenv("RUNPOD_API_KEY")
    assert "there is no secret in env:RUNPOD_API_KEY" in operator.give("plan")[2]
    operator.tiers.write_text("version: 2", encoding="utf-8")
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    status, _, said = operator.give("plan")
    assert (status, "tiers.yaml:1:1: version" in said) == (2, True)
    operator.tiers.unlink()
    assert "cannot read" in operator.give("plan")[2]


def test_the_state_may_be_elsewhere(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = operator.folder / "state.json"
    write_state(elsewhere, FleetState(applying=Applying(plan="x")))
    assert "note: an apply of plan x was stopped" in operator.give("plan", "--state", str(elsewhere))[1]
    monkeypatch.setenv("TIERGATE_FLEET_STATE", str(elsewhere))
    assert "note: an apply of plan x was stopped" in operator.give("plan")[1]


def test_the_map_is_yaml_all_the_same(operator: Operator) -> None:
    """What this file writes as JSON is what operators write."""
    told = yaml.safe_load(operator.tiers.read_text(encoding="utf-8"))
    operator.tiers.write_text(yaml.safe_dump(told), encoding="utf-8")
    assert operator.give("plan")[0] == 0
