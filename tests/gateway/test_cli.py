"""``tiergate-gateway`` as a person types it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import settings
from gateway.build import build
from gateway.cli import main
from tests.tiers.samples import WHOLE, changed

EXAMPLES = Path(__file__).parents[2] / "examples" / "tiers"
MAP = """\
version: 1
store: redis://127.0.0.1:1/0
tiers:
  routing:
    model: m
    price: {input: 1, output: 1}
    endpoints: [{url: "http://127.0.0.1:1/v1"}]
    context: 1000
    slots: 1
keys:
  - {name: demo, key: env:TIERGATE_TEST_KEY}
"""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*settings.ENVIRONMENT, "TIERGATE_TEST_KEY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiers.yaml"
    path.write_text(MAP, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["local.yaml", "runpod.yaml"])
def test_the_examples_are_fine(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And checking one says what is in it, without a key or a network."""
    assert main(["check", str(EXAMPLES / name)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{EXAMPLES / name}: fine. ")
    assert err == ""


def test_a_check_counts_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tiers, endpoints, routes, budgets and keys."""
    path = tmp_path / "tiers.yaml"
    path.write_text(WHOLE, encoding="utf-8")
    assert main(["check", str(path)]) == 0
    assert "3 tiers with 4 endpoints, 3 routes, 2 budgets, 1 keys" in capsys.readouterr().out


def test_every_problem_of_a_tier_map_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its place, and how many there are."""
    path = tmp_path / "tiers.yaml"
    path.write_text(changed("slots: 24", "slotz: 24"), encoding="utf-8")
    assert main(["check", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *problems, summary = err.splitlines()
    assert all(line.startswith((f"{path}:", " ")) for line in problems)
    assert "slotz" in err
    assert summary == f"tiergate-gateway: {path}: 2 problems; nothing was started"
    path.write_text(changed("tier: routing}\nbudgets", "tier: nowhere}\nbudgets"), encoding="utf-8")
    assert main(["check", str(path)]) == 2
    assert "1 problem;" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the check and for serving alike."""
    missing = str(tmp_path / "nowhere.yaml")
    assert main(["check", missing]) == 2
    assert main(["serve", "--tiers", missing]) == 2
    told = f"tiergate-gateway: {missing}: cannot be read: No such file or directory\n"
    assert capsys.readouterr().err == told * 2


def test_the_schema_for_editors_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """And the one that ships."""
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    shipped = Path(__file__).parents[2] / "tiers" / "tiers.schema.json"
    assert printed == json.loads(shipped.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["serve", "check", "schema", "examples:", "exit status:"]),
        (
            ["serve", "--help"],
            ["--tiers", "--host", "--port", "--store", "--drain-seconds", "--admin-key", "--processes", "SIGHUP"],
        ),
        (["check", "--help"], ["FILE"]),
        (["--version"], ["tiergate 0.", f"({build()})"]),
    ],
    ids=" ".join,
)
def test_help_says_what_there_is(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And ends well."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert [word for word in words if word not in out] == []


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["serve", "--unknown"], ["check"]], ids=str)
def test_wrong_arguments_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With a word on standard error."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: tiergate-gateway" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "no tier map: give --tiers FILE or set TIERGATE_TIERS"), (["--port", "http"], "--port: 'http' is not")],
)
def test_settings_that_cannot_be_read_end_with_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As wrong arguments do."""
    assert main(["serve", *arguments]) == 2
    assert f"tiergate-gateway: {told}" in capsys.readouterr().err


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_missing_secret_ends_with_1(processes: str, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With its name, which is told once."""
    assert main(["serve", "--tiers", str(file), "--processes", processes]) == 1
    assert capfd.readouterr().err.count("env:TIERGATE_TEST_KEY") == 1


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_address_that_is_taken_ends_with_1(
    processes: str, file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the address, and no traceback."""
    monkeypatch.setenv("TIERGATE_TEST_KEY", "sk-test")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--tiers", str(file), "--port", str(port), "--processes", processes]) == 1
    err = capfd.readouterr().err
    assert f"tiergate-gateway: cannot listen on 127.0.0.1:{port}: " in err
    assert "Traceback" not in err
    assert "sk-test" not in err


def test_a_store_that_is_none_ends_with_1(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its URL, which may hold a password, is not repeated."""
    monkeypatch.setenv("TIERGATE_TEST_KEY", "sk-test")
    assert main(["serve", "--tiers", str(file), "--store", "mysql://:hunter2@host"]) == 1
    err = capfd.readouterr().err
    assert "store is neither" in err
    assert "hunter2" not in err


def test_the_parent_of_several_processes_does_without_the_servers_packages() -> None:
    """It serves nothing, and is there for as long as the others."""
    program = (
        "import sys; import gateway.cli, gateway.processes.parent; "
        "sys.exit(bool({'fastapi', 'starlette', 'uvicorn', 'prometheus_client'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0


def test_it_is_a_module_too() -> None:
    """``python -m gateway``; and checking a map loads none of the server's packages."""
    run = subprocess.run(
        [sys.executable, "-m", "gateway", "check", str(EXAMPLES / "local.yaml")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "fine" in run.stdout
    program = (
        "import sys; from gateway.cli import main; "
        f"main(['check', {str(EXAMPLES / 'local.yaml')!r}]); "
        "sys.exit(bool({'fastapi', 'uvicorn', 'redis', 'uvloop'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0
