"""The command as its users meet it: a process with arguments, two output streams and an exit status."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event

import pytest

from orchestrator.cli import EXIT_USAGE, build_parser, main
from tests.doubles.chat_server import Answer, Asked, ChatServer, Refusal

ROOT = Path(__file__).parents[2]
EXAMPLE = "examples/support_triage/flow.py:SupportTriageFlow"


def triage(asked: Asked) -> Answer:
    """A model that sorts everything as technical and says what it was asked to do."""
    if asked.schema:
        return json.dumps({"about": "a technical problem"})
    return f"<{asked.headers['x-tiergate-task']}>"


def environment(url: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIERGATE_", "CREWAI_"))}
    return {**kept, "TIERGATE_URL": url, "TIERGATE_KEY": "sk-test-key", **(extra or {})}


def orchestrate(*arguments: str, url: str, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        cwd=ROOT, env=environment(url, extra), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_run_prints_its_report_to_stdout_and_its_progress_to_stderr(server: ChatServer) -> None:
    server.script = triage
    done = orchestrate("run", EXAMPLE, "--run-id", "run-1", "--input", "customer=Grace", url=server.url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ticket    technical\n")
    assert done.stdout.endswith("\nDear Grace,\n\n<apologise>\n<explain>\n\nYour support team\n")
    lines = [line.split(" s  ", 1)[1] for line in done.stderr.splitlines()]
    assert lines[:2] == ["step classify", "  router asks tier routing"]
    assert lines[2].startswith("  router has an answer from routing after")
    assert lines[2].endswith("12 tokens in, 5 out")
    assert "  writer asks tier reasoning" in lines
    assert lines[-1] == "step report done"
    assert [(asked.model, asked.headers["x-tiergate-step"]) for asked in server.asked] == [
        ("routing", "classify"), ("reasoning", "investigate"), ("reasoning", "apologise"), ("reasoning", "explain"),
    ]  # fmt: skip
    assert {asked.headers["x-tiergate-run"] for asked in server.asked} == {"run-1"}


def test_a_run_as_json_is_one_document(server: ChatServer, tmp_path: Path) -> None:
    """Also without a home folder, and whatever the Flow itself prints."""
    server.script = triage
    flow = tmp_path / "tg_printing.py"
    flow.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'examples')!r})\n"
        "from support_triage.flow import SupportTriageFlow\nprint('noise')\nclass Mine(SupportTriageFlow): ...\n"
    )
    inputs = tmp_path / "inputs.json"
    inputs.write_text('{"customer": "Ada", "message": "It is broken."}')
    done = orchestrate(
        "run", f"{flow}:Mine", "--inputs", str(inputs), "--output", "json",
        url=server.url, extra={"HOME": "/nowhere", "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert list(document) == ["run", "flow", "status", "output", "state", "seconds"]
    assert (document["flow"], document["status"]) == ("Mine", "ok")
    assert document["state"]["message"] == "It is broken."
    assert document["state"]["id"] == document["run"]
    assert "noise" in done.stderr


def test_a_spent_budget_ends_the_run_with_one_line_and_status_1(server: ChatServer) -> None:
    server.script = lambda _asked: Refusal(
        status=402,
        code="budget_exhausted",
        message="Budget routing-hourly has 0.01 USD left.",
        headers={"x-should-retry": "false", "x-request-id": "req-1"},
    )
    done = orchestrate("run", EXAMPLE, "--output", "json", url=server.url)
    assert done.returncode == 1
    cause = (
        "SupportTriageFlow failed in step 'classify': budget exhausted: Budget routing-hourly has 0.01 USD left. "
        "Wait for the budget's next window, or raise it in the tier map. (request req-1)"
    )
    assert done.stderr.splitlines()[-1] == f"tiergate-orchestrator: {cause}"
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 5  # the step, the call, its failure, the step's failure, the cause
    document = json.loads(done.stdout)
    assert (document["status"], document["output"], document["error"]) == ("failed", None, cause)
    assert len(server.asked) == 1


def test_a_gateway_that_is_not_there_is_named_with_what_to_do() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    done = orchestrate("run", EXAMPLE, "--gateway", url, "--debug", url="http://elsewhere/v1")
    assert done.returncode == 1
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert f"no connection to the gateway at {url}. Start it with 'tiergate-gateway serve'" in last
    assert "Traceback" in done.stderr  # asked for with --debug


def test_refused_inputs_are_bad_usage(server: ChatServer) -> None:
    done = orchestrate("run", EXAMPLE, "--input", "colour=red", url=server.url)
    assert done.returncode == EXIT_USAGE
    (line,) = done.stderr.splitlines()
    assert line.startswith("tiergate-orchestrator: SupportTriageFlow refuses its inputs: colour: the state has no ")
    assert line.endswith("it has customer, message, category, findings, apology, explanation")
    assert server.asked == []


def test_an_interrupt_ends_the_process_while_a_call_is_open(server: ChatServer) -> None:
    """The connection is dropped with it, so that the gateway stops the call."""
    arrived, release = Event(), Event()

    def hang(_asked: Asked) -> str:
        arrived.set()
        release.wait(60)
        return "late"

    server.script = hang
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "run", EXAMPLE],
        cwd=ROOT, env=environment(server.url), stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert arrived.wait(60)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=20)
        finally:
            process.kill()
            release.set()
    assert process.returncode == -signal.SIGINT
    assert stderr.splitlines()[-1] == "tiergate-orchestrator: interrupted"


def test_help_is_there_without_crewai() -> None:
    """CrewAI takes seconds to import; help must not."""
    code = "import sys; from orchestrator.cli import main\ntry: main(['run', '--help'])\nexcept SystemExit as end:"
    code += " print(end.code, 'crewai' in sys.modules, 'openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False False"
    for words in ("MODULE:FLOW", "--run-id", "TIERGATE_KEY_FILE", "exit status:", "examples:"):
        assert words in done.stdout


def test_the_version_is_the_distribution_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--version"])
    assert capsys.readouterr().out.startswith("tiergate-orchestrator 0.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "novalue"], "'novalue' is not KEY=VALUE"),
        (["--input", "=x"], "'=x' is not KEY=VALUE"),
        (["--input", "a=1", "--input", "a=2"], "--input a is given twice"),
        (["--inputs", "absent.json"], "cannot read absent.json: No such file"),
        (["--inputs", "broken.json"], "broken.json is not JSON"),
        (["--inputs", "list.json"], "list.json holds no JSON object"),
        (["--run-id", "a b"], "--run-id: 1 to 128"),
        (["--gateway", "ftp://x"], "--gateway is not an http or https address"),
    ],
)
def test_bad_arguments_are_named(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIERGATE_KEY", "sk-1")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    assert main(["run", "x:Y", *arguments]) == EXIT_USAGE
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["run"], ["walk"], ["run", "x:Y", "--input", "a=1", "--inputs", "f"]])
def test_what_the_grammar_does_not_know_is_bad_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == EXIT_USAGE
