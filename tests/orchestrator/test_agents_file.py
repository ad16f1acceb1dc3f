"""The agents' file of a crew's class tells the LLMs that it names."""

from pathlib import Path

import pytest

from orchestrator.agents_file import AgentsUnreadable, agent_llms

AGENTS = """\
writer:
  role: writer
  llm: reasoning
  function_calling_llm: routing
  max_iter: 2
reader:
  role: reader
odd: 3
"""


def crew_class(folder: Path, config: object = "config/agents.yaml") -> type:
    """What ``@CrewBase`` makes of a class in ``folder``."""
    return type("Crew", (), {"is_crew_class": True, "base_directory": folder, "original_agents_config_path": config})


def write(folder: Path, text: str) -> Path:
    (folder / "config").mkdir()
    (folder / "config" / "agents.yaml").write_text(text, encoding="utf-8")
    return folder


def test_each_agent_comes_with_the_fields_that_name_an_llm(tmp_path: Path) -> None:
    assert agent_llms(crew_class(write(tmp_path, AGENTS))) == {
        "writer": {"llm": "reasoning", "function_calling_llm": "routing"},
        "reader": {},
    }


def test_agents_configured_in_code_are_read_there(tmp_path: Path) -> None:
    assert agent_llms(crew_class(tmp_path, {"writer": {"llm": "routing"}})) == {"writer": {"llm": "routing"}}


def test_a_class_without_a_file_or_that_is_no_crew_configures_none(tmp_path: Path) -> None:
    assert agent_llms(crew_class(tmp_path)) == agent_llms(Path) == agent_llms(crew_class(tmp_path, None)) == {}
    assert agent_llms(crew_class(write(tmp_path, ""))) == {}


@pytest.mark.parametrize("text", ["- a list", "writer: [", "\x00"])
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(AgentsUnreadable):
        agent_llms(crew_class(write(tmp_path, text)))
