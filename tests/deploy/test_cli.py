"""The command as people run it, with doubles in place of the programs that it starts."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.cli import main, parser
from deploy.local.programs import Programs
from tests.doubles.process_ids import Pids, until

TIER_MAP = """\
version: 1
tiers:
  routing:
    model: small-routing
    price: {{input: 0.1, output: 0.2}}
    endpoints: [{{url: "http://127.0.0.1:{port}/v2/routing", transport: runpod-queue, api_key: env:RUNPOD_API_KEY}}]
    context: 2048
    slots: 2
budgets:
  - {{name: routing-hourly, owner: {{tier: routing}}, limit: 5 USD, window: 1h}}
keys:
  - {{name: demo, key: env:TIERGATE_DEMO_KEY}}
"""


class Command:
    """One command line over doubles."""

    def __init__(self, folder: Path, programs: Programs, ports: list[int], pids: Pids) -> None:
        self.emulator_port, self.port = ports
        self.folder = folder
        self.pids = pids
        self.tiers = folder / "tiers.yaml"
        self.tiers.write_text(TIER_MAP.format(port=self.emulator_port), encoding="utf-8")
        self._programs = programs

    def words(self, *more: str, flow: str = "Works") -> list[str]:
        """The command's arguments."""
        return [
            "local",
            *("--tiers", str(self.tiers)),
            *("--flow", f"flow.py:{flow}"),
            *("--port", str(self.port)),
            *("--cold-seconds", "0"),
            *("--state-directory", str(self.folder / "state")),
            *("--engine", self._programs.engine[0]),
            *("--gateway", self._programs.gateway[0]),
            *("--orchestrator", self._programs.orchestrator[0]),
            *more,
        ]

    async def start(self, *more: str, flow: str = "Works", **environment: str) -> asyncio.subprocess.Process:
        """Start it as a process of its own."""
        doubles = {"DOUBLE_PIDS": str(self.pids.folder), **environment}
        pipe = asyncio.subprocess.PIPE
        words = self.words(*more, flow=flow)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy", *words), env={**os.environ, **doubles}, stdout=pipe, stderr=pipe
        )


@pytest.fixture
def command(tmp_path: Path, double_programs: Programs, free_ports: Callable[[int], list[int]], pids: Pids) -> Command:
    return Command(tmp_path, double_programs, free_ports(2), pids)


def test_the_options_have_the_promised_defaults() -> None:
    arguments = parser().parse_args(["local", "--tiers", "t.yaml", "--flow", "f.py:F"])
    assert (arguments.port, str(arguments.state_directory), arguments.once) == (8080, ".tiergate", False)
    assert arguments.cold_seconds == 4
    assert (arguments.engine, arguments.gateway, arguments.orchestrator) == (None, None, None)
    assert arguments.emulator_port == 8090


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "required: COMMAND"),
        ("local --flow f:F", "required: --tiers"),
        ("local --tiers t.yaml", "required: --flow"),
        ("local --tiers t --flow f:F --port 70000", "70000 is not a port (1 to 65535)"),
        ("local --tiers t --flow f:F --port 0", "0 is not a port (1 to 65535)"),
        ("local --tiers t --flow f:F --cold-seconds 401", "401 is not between 0 and 400"),
        ("local --tiers t --flow f:F --port http", "invalid _port value: 'http'"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_wrong(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(words.split())
    assert message in capsys.readouterr().err


def test_every_program_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert re.fullmatch(r"tiergate \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_help_tells_exit_statuses_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["local", "--help"])
    shown = capsys.readouterr().out
    assert "exit status:" in shown
    assert "examples/support_triage/flow.py:SupportTriageFlow" in shown


def test_a_tier_map_that_is_not_there_is_told(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    command.tiers.unlink()
    assert main(command.words()) == 2
    assert f"cannot read {command.tiers}: No such file or directory" in capsys.readouterr().err


def test_every_problem_of_a_tier_map_is_told(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """With file and line, and the text as it is: brackets are no markup."""
    text = command.tiers.read_text(encoding="utf-8")
    command.tiers.write_text(text.replace("slots: 2", "slots: 0\n    '[bold]': 1"), encoding="utf-8")
    assert main(command.words()) == 2
    shown = capsys.readouterr().err
    assert f"{command.tiers}:8:" in shown
    assert f"{command.tiers}:9:" in shown
    assert "[bold]" in shown
    assert f"what to do: mend {command.tiers}; nothing was started" in shown


@pytest.mark.integration
def test_a_port_in_use_is_told_before_anything_starts(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", command.port)):
        assert main(command.words()) == 2
    shown = capsys.readouterr().err
    assert f"port {command.port}, which the gateway needs, is in use" in shown
    assert "with --port" in shown
    assert not (command.folder / "state").exists()


@pytest.mark.integration
def test_once_reports_on_stdout_and_ends_with_status_0(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress is on stderr, so that the report can be piped; there is no colour in a pipe."""
    monkeypatch.setenv("DOUBLE_PIDS", str(command.pids.folder))
    assert main(command.words("--once")) == 0
    shown = capsys.readouterr()
    assert "The customer gets a refund." in shown.out
    assert "2 calls" in shown.out
    assert "\x1b" not in shown.out + shown.err
    assert "gateway: ready after " in shown.err
    assert "gateway: ready after " not in shown.out
    asyncio.run(command.pids.gone())


@pytest.mark.integration
async def test_a_failed_flow_is_status_1(command: Command) -> None:
    child = await command.start("--once", flow="Fails")
    _, errors = await child.communicate()
    assert child.returncode == 1
    assert "problem: the Flow failed: the budget routing-hourly is spent" in errors.decode()
    await command.pids.gone()


@pytest.mark.integration
async def test_a_child_that_dies_is_status_1_with_its_last_words(command: Command) -> None:
    child = await command.start(DOUBLE_GATEWAY="die")
    _, errors = await child.communicate()
    shown = errors.decode()
    assert child.returncode == 1
    assert "cannot open the store\n---\nerror: gateway ended by itself (exit status 4)" in shown
    assert "what to do: its log " in shown


async def _read_until(stream: asyncio.StreamReader | None, text: str) -> None:
    assert stream is not None
    seen = ""
    async with asyncio.timeout(30):
        while not re.search(text, seen):
            line = await stream.readline()
            assert line, seen
            seen += line.decode()


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_while_serving_a_signal_is_the_ordinary_end(command: Command, number: signal.Signals) -> None:
    """Impatience changes nothing: the children still end in order."""
    child = await command.start()
    await _read_until(child.stdout, "Ctrl-C stops everything")
    assert len(command.pids.alive()) == 4
    child.send_signal(number)
    await _read_until(child.stderr, f"{number.name}: stopping everything")
    child.send_signal(number)
    _, errors = await child.communicate()
    assert (child.returncode, errors.decode()) == (0, "stopped\n")
    await command.pids.gone()


@pytest.mark.integration
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_before_the_report_a_signal_is_an_interruption(
    command: Command, number: signal.Signals, status: int
) -> None:
    child = await command.start(flow="Hangs")
    await _read_until(child.stderr, "agent billing")
    child.send_signal(number)
    await child.communicate()
    assert child.returncode == status
    await command.pids.gone()


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
async def test_nothing_outlives_a_command_that_is_killed(command: Command) -> None:
    child = await command.start(flow="Hangs")
    await _read_until(child.stderr, "agent billing")
    started = [pid for pid in command.pids.alive() if os.getsid(pid) == pid]
    assert len(started) == 2
    child.kill()
    await child.communicate()
    await until(lambda: not set(started) & set(command.pids.alive()))
