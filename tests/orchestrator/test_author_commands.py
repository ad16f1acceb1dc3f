"""``new`` and ``plot`` as their users meet them; neither needs a key or a gateway."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.author_commands import AUTHOR_COMMANDS
from orchestrator.cli import EXIT_OK, EXIT_USAGE, build_parser, main
from orchestrator.plot.drawing import FORMS

ROOT = Path(__file__).parents[2]
EXAMPLE = f"{ROOT}/examples/support_triage/flow.py:SupportTriageFlow"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a folder of its own, in an environment that knows no gateway."""
    monkeypatch.chdir(tmp_path)
    for name in ("TIERGATE_KEY", "TIERGATE_KEY_FILE", "TIERGATE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_new_writes_a_project_named_after_itself_and_says_where_to_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "support-desk"]) == EXIT_OK
    assert capsys.readouterr().out.endswith("Begin with support-desk/README.md.\n")
    assert (tmp_path / "support-desk" / "support_desk" / "flow.py").is_file()
    assert main(["new", "support-desk", "--directory", "elsewhere/desk"]) == EXIT_OK
    assert (tmp_path / "elsewhere" / "desk" / "Dockerfile").is_file()


@pytest.mark.parametrize(
    ("name", "words"), [("gateway", "Try 'gateway-flow'"), ("a b", "support-desk"), ("twice", "--directory")]
)
def test_new_refuses_with_a_remedy(name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "twice").mkdir()
    (tmp_path / "twice" / "kept").touch()
    assert main(["new", name]) == EXIT_USAGE
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["twice", "kept"]


def test_new_imports_no_crewai(tmp_path: Path) -> None:
    code = "import sys; from orchestrator.cli import main; main(['new', 'desk']); print('crewai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_plot_draws_the_example_with_its_tiers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", EXAMPLE]) == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "SupportTriageFlow"
    assert "  classify  [routing]  start" in lines
    assert "      technical → investigate" in lines
    assert "  investigate  [reasoning]" in lines


def test_plot_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", EXAMPLE, "--format", "html", "--output", "flow.html"]) == EXIT_OK
    assert (tmp_path / "flow.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert capsys.readouterr().out == ""
    assert main(["plot", EXAMPLE, "--output", "no/such/folder"]) == EXIT_USAGE
    assert "--output: cannot write no/such/folder: No such file" in capsys.readouterr().err


def test_plot_makes_no_flow_and_needs_no_key_for_agents_made_at_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tg_module_level.py").write_text(
        "from crewai import Agent\n"
        "from crewai.flow.flow import Flow, start\n"
        "from orchestrator import tier\n"
        "WRITER = Agent(role='w', goal='w', backstory='w', llm='reasoning')\n"
        "MODEL = tier('routing')\n"
        "class Made(Flow):\n"
        "    def __init__(self):\n"
        "        raise AssertionError\n"
        "    @start()\n"
        "    async def both(self):\n"
        "        await MODEL.acall(await WRITER.kickoff_async('hello'))\n"
    )
    assert main(["plot", f"{tmp_path}/tg_module_level.py:Made"]) == EXIT_OK
    [_, step] = capsys.readouterr().out.splitlines()
    assert step in {"  both  [routing, reasoning]  start", "  both  [reasoning, routing]  start"}


def test_what_cannot_be_drawn_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "tg_no_such_module:Flow"]) == EXIT_USAGE
    assert "There is no module 'tg_no_such_module'" in capsys.readouterr().err


def test_the_grammar_has_these_commands_and_all_forms() -> None:
    assert {"new", "plot"} == AUTHOR_COMMANDS
    for form in FORMS:
        assert build_parser().parse_args(["plot", "x:Y", "--format", form]).format == form
