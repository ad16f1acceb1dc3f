"""The command as people run it."""

import argparse
import asyncio
import os
import re
import signal
import socket
import sys
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from pydantic.alias_generators import to_camel

from deploy.cli import main, parser
from deploy.emulator.admin import Admin
from deploy.emulator.clock import EmulatedClock
from deploy.emulator.command import KEY
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.world import World
from tests.deploy.emulator.test_app import logs_in
from tests.docs.markdown import ROOT, Page, code_in, tables
from tests.doubles.process_ids import until

FAULTS = fields(Faults)
WORDS = ("-m", "deploy", "emulate", "--port", "0", "--speed", "50")


def test_the_options_have_the_promised_defaults() -> None:
    arguments = parser().parse_args(["emulate"])
    assert (arguments.host, arguments.port, arguments.speed, arguments.seed) == ("127.0.0.1", 8090, 1.0, 0)
    assert (arguments.engine, arguments.run, arguments.key) == ("generator", [], None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--speed 0", "0 is not above 0"),
        ("--speed 20000", "at most 10000"),
        ("--run image", "'image' is not PATTERN=COMMAND"),
        ("--engine other", "invalid choice"),
    ],
)
def test_wrong_usage_is_status_2(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(["emulate", *words.split()])
    assert message in capsys.readouterr().err


@pytest.mark.integration
def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["emulate", "--port", str(taken.getsockname()[1])]) == 2
    assert "which the emulator needs, is in use" in capsys.readouterr().err


def test_a_key_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "--port", "0", "--key", "env:NO_SUCH_VARIABLE"]) == 2
    assert "there is no secret in env:NO_SUCH_VARIABLE" in capsys.readouterr().err


async def started(*more: str, **environment: str) -> tuple[asyncio.subprocess.Process, str, str]:
    """The command as a process of its own, with its origin and what it said."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, *WORDS, *more),
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stderr is not None
    said = ""
    async with asyncio.timeout(30):
        while "Ctrl-C stops everything" not in said:
            line = await child.stderr.readline()
            assert line, said
            said += line.decode()
    found = re.search(r"(http://\S+)/emulator/state", said)
    assert found is not None
    return child, found[1], said


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_prints_its_addresses_and_ends_cleanly_at_a_signal(number: signal.Signals) -> None:
    child, origin, said = await started()
    assert f"{origin}/v2/serverless" in said
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, trust_env=False) as client:
        assert (await client.get(f"{origin}/v2/serverless")).json()["endpoints"] == []
    child.send_signal(number)
    _, errors = await child.communicate()
    assert (child.returncode, errors.decode()) == (0, "stopping everything\nstopped\n")


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_its_end_leaves_no_engine(tmp_path: Path) -> None:
    """Nor a word of the key that it was given."""
    more = ("--engine", "llama", "--key", "env:EMULATOR_KEY", "--state-directory", str(tmp_path))
    child, origin, said = await started(*more, EMULATOR_KEY="hidden-key")
    assert "hidden-key" not in said
    body = {
        "name": "x",
        "type": "QUEUE",
        "image": "runpod/worker-v1-vllm:v2.25.2",
        "gpu": {"pools": ["ADA_24"]},
        "workers": {"min": 1, "max": 1},
        "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
    }
    async with httpx.AsyncClient(headers={"authorization": "Bearer hidden-key"}, trust_env=False) as client:
        assert (await client.post(f"{origin}/v2/serverless", json=body)).status_code == 201
    await until(lambda: any("serving" in text for text in logs_in(tmp_path / "logs")))
    engines = children_of(child.pid)
    assert engines
    child.send_signal(signal.SIGTERM)
    await child.communicate()
    assert child.returncode == 0
    assert not alive(engines)


def alive(pids: list[int]) -> list[int]:
    """Those of these processes that are still there."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def children_of(pid: int) -> list[int]:
    """The ids of a process's children."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(word) for word in found.split()]


PAGE = Page("docs/emulator.md")


def test_every_option_is_described_with_its_default() -> None:
    [table] = tables(Page("docs/configuration.md").section("The emulator"))
    described = {code_in(option)[0].split()[0]: code_in(default) for option, default, _ in table.rows}
    [commands] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    actions = {action.option_strings[0]: action for action in commands.choices["emulate"]._actions}
    assert described.keys() == actions.keys() - {"-h"}
    for option in ("--host", "--port", "--seed", "--engine", "--state-directory"):
        assert described[option] == [str(actions[option].default)]
    assert described["--key"] == [KEY]


def test_every_fault_is_described() -> None:
    [table] = tables(PAGE.section("Faults"))
    assert [code_in(cell)[0] for cell in table.column("fault")] == [to_camel(field.name) for field in FAULTS]


def test_every_call_of_its_own_api_is_described() -> None:
    [table] = [each for each in tables(PAGE.text) if each.columns[0] == "call"]
    routes = Admin(World(seed=0), EmulatedClock(start=0.0)).routes()
    served = {f"{method} {route.path}" for route in routes for method in (route.methods or set()) - {"HEAD"}}
    assert {code_in(cell)[0] for cell in table.column("call")} == {
        path.replace("{endpoint_id}", "{id}").replace("{account_id}", "{id}") for path in served
    }


def test_each_fact_about_runpod_names_a_test_that_is_there() -> None:
    [table] = [each for each in tables(PAGE.text) if each.columns == ("no.", "fact", "test")]
    for cell in table.column("test"):
        path, _, name = code_in(cell)[0].partition("::")
        text = (ROOT / "tests/deploy/emulator" / path).read_text(encoding="utf-8")
        assert f"def {name}(" in text, cell
