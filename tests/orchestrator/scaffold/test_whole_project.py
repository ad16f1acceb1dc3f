"""What ``new`` writes works as it is: its own tests pass, and ``serve`` hosts its Flow."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from orchestrator.scaffold.names import ProjectNames
from orchestrator.scaffold.project import write_project
from tests.doubles.chat_server import Answer, Asked, ChatServer
from tests.orchestrator.test_cli import free_port

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project called ``support-desk``."""
    folder = tmp_path_factory.mktemp("scaffold") / "support-desk"
    write_project(ProjectNames.of("support-desk"), folder)
    return folder


def model(asked: Asked) -> Answer:
    """A model that takes everything for a question, and answers it."""
    return json.dumps({"about": "a question"}) if asked.schema else f"It is {asked.model}."


def environment(**given: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIERGATE_")}
    return {**kept, "PYTHONPATH": str(ROOT), **given}


def test_its_own_tests_pass_without_a_network_or_a_key(project: Path) -> None:
    # An address that leads nowhere stands for a network that is not there.
    offline = environment(HTTP_PROXY="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9", NO_PROXY="127.0.0.1")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=project, env=offline, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("3 passed in"), "and nothing warns"


@pytest.fixture
def served(project: Path, server: ChatServer) -> Iterator[httpx.Client]:
    """The project's Flow, served from its folder by the command of its README."""
    port = free_port()
    command = [sys.executable, "-m", "orchestrator", "serve", "support_desk/flow.py:SupportDeskFlow"]
    given = environment(TIERGATE_URL=server.url, TIERGATE_KEY="sk-test-key")
    with subprocess.Popen([*command, "--port", str(port)], cwd=project, env=given, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if b"ready" in line:
                    break
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
                yield client
        finally:
            process.kill()


def test_its_flow_is_served_and_its_output_is_what_it_declares(served: httpx.Client, server: ChatServer) -> None:
    server.script = model
    answer = served.post("/flows/SupportDeskFlow", json={"inputs": {"sender": "Grace", "text": "Who is it?"}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["output"] == {"branch": "question", "text": "Dear Grace,\nIt is reasoning."}
    called = [
        (asked.model, asked.headers["x-tiergate-step"], asked.headers["x-tiergate-agent"]) for asked in server.asked
    ]
    assert called == [("routing", "sort", "sorter"), ("reasoning", "answer", "writer")]
    refused = served.post("/flows/SupportDeskFlow", json={"inputs": {"colour": "red"}})
    assert (refused.status_code, len(server.asked)) == (422, 2), "nothing was run"
