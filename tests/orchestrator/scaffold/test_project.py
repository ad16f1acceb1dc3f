"""What ``new`` writes: a whole project, where nothing is yet."""

import ast
import json
import tomllib
from pathlib import Path

import pytest
import yaml

from orchestrator.cli import build_parser
from orchestrator.errors import ProjectRefused
from orchestrator.scaffold.names import ProjectNames
from orchestrator.scaffold.project import rendered, write_project
from tiers.load import load

ROOT = Path(__file__).parents[3]
NAMES = ProjectNames.of("support-desk")
FILES = {str(path): text for path, text in rendered(NAMES).items()}


def test_it_has_a_flow_two_crews_tests_a_tier_map_and_what_builds_it() -> None:
    assert {
        ".dockerignore",
        ".gitignore",
        "Dockerfile",
        "README.md",
        "pyproject.toml",
        "support_desk/crews/answering/config/agents.yaml",
        "support_desk/crews/answering/config/tasks.yaml",
        "support_desk/crews/sorting/config/agents.yaml",
        "support_desk/crews/sorting/config/tasks.yaml",
        "support_desk/flow.py",
        "tests/test_flow.py",
        "tiers.yaml",
    } <= FILES.keys()


def test_every_file_is_what_its_name_says_and_no_place_is_left_unfilled() -> None:
    for path, text in FILES.items():
        assert "{{" not in text, path
        if path.endswith(".py"):
            assert ast.get_docstring(ast.parse(text)), path
    project = tomllib.loads(FILES["pyproject.toml"])
    assert project["project"]["name"] == "support-desk"
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["support_desk"]


def test_its_agents_name_tiers_that_its_tier_map_has() -> None:
    tier_map = load(FILES["tiers.yaml"], file="tiers.yaml")
    agents = [yaml.safe_load(text) for path, text in FILES.items() if path.endswith("agents.yaml")]
    named = {fields["llm"] for file in agents for fields in file.values()}
    assert named == {"routing", "reasoning"} == set(tier_map.tiers)


def test_its_image_stands_on_ours_has_no_root_and_serves_the_flow() -> None:
    lines = FILES["Dockerfile"].splitlines()
    assert "ARG TIERGATE=tiergate/orchestrator" in lines
    assert "FROM --platform=linux/amd64 ${TIERGATE}" in lines
    assert "COPY --chown=10001:10001 support_desk /flows/support_desk" in lines
    assert "USER 10001:10001" in lines
    base = (ROOT / "deploy" / "images" / "orchestrator.Dockerfile").read_text(encoding="utf-8")
    assert "-t tiergate/orchestrator" in base
    assert "PYTHONPATH=/flows" in base
    command = json.loads(lines[-1].removeprefix("CMD "))
    assert build_parser().parse_args(command).targets == ["support_desk.flow:SupportDeskFlow"]


def test_the_commands_of_its_readme_are_understood() -> None:
    lines = [line.split() for line in FILES["README.md"].splitlines() if line.startswith("tiergate-orchestrator ")]
    assert {words[1] for words in lines} == {"plot", "serve"}
    for words in lines:
        arguments = build_parser().parse_args(words[1:])
        assert "support_desk/flow.py:SupportDeskFlow" in {
            *getattr(arguments, "targets", []),
            vars(arguments).get("target"),
        }


def test_it_is_written_into_a_folder_that_is_new_or_empty(tmp_path: Path) -> None:
    written = write_project(NAMES, tmp_path / "new" / "desk")
    assert [str(path) for path in written] == sorted(FILES)
    assert (tmp_path / "new" / "desk" / "tiers.yaml").read_text(encoding="utf-8") == FILES["tiers.yaml"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ProjectRefused, match=r"not empty.*--directory"):
        write_project(NAMES, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectRefused, match=r"file.* cannot be written"):
        write_project(NAMES, tmp_path / "file")
