"""A tier's name is all that an agent needs, and what is somebody else's stays so."""

from pathlib import Path
from typing import Any

import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.project import CrewBase, agent, crew, task

from orchestrator.llm import TierLLM, tier
from orchestrator.settings import Settings, bind
from orchestrator.tier_names import let_names_be_tiers
from tests.doubles.chat_server import ChatServer


def of(crews: object, attribute: str, name: str) -> Any:  # noqa: ANN401 - what CrewBase read from a file
    """One entry of a crew's YAML."""
    return {"config": getattr(crews, attribute)[name]}


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are tiers in each test, and CrewAI is as it was after it."""
    monkeypatch.setattr(LLM, "_overlay_mapped", LLM._overlay_mapped)
    let_names_be_tiers()


def test_an_agents_bare_name_is_a_tier(settings: Settings, server: ChatServer) -> None:
    """Also one that CrewAI would take for another provider's model; one object for all agents of a tier."""
    assert settings.url == server.url
    one, other = (Agent(role=role, goal="g", backstory="b", llm="reasoning") for role in ("writer", "critic"))
    assert one.llm is other.llm is tier("reasoning")
    assert isinstance(Agent(role="r", goal="g", backstory="b", llm="claude-for-us").llm, TierLLM)
    one.kickoff("Say something.")
    assert [asked.model for asked in server.asked] == ["reasoning"]


def test_a_name_in_agents_yaml_is_a_tier(settings: Settings, server: ChatServer, tmp_path: Path) -> None:
    """Without any method that makes it one."""
    assert settings.url == server.url
    (tmp_path / "agents.yaml").write_text("writer: {role: writer, goal: g, backstory: b, llm: reasoning}\n")
    (tmp_path / "tasks.yaml").write_text("write: {description: Write., expected_output: Text., agent: writer}\n")

    @CrewBase
    class Writers:
        agents_config = str(tmp_path / "agents.yaml")
        tasks_config = str(tmp_path / "tasks.yaml")

        @agent
        def writer(self) -> Agent:
            return Agent(**of(self, "agents_config", "writer"))

        @task
        def write(self) -> Task:
            return Task(**of(self, "tasks_config", "write"))

        @crew
        def whole(self) -> Crew:
            whole: Any = self  # CrewBase gives it what the methods above returned
            return Crew(agents=whole.agents, tasks=whole.tasks)

    Writers().whole().kickoff()
    assert {asked.model for asked in server.asked} == {"reasoning"}


@pytest.mark.usefixtures("settings")
def test_options_that_a_tier_has_are_kept() -> None:
    named: object = LLM(model="reasoning", temperature=0.2, max_tokens=7)
    assert named is tier("reasoning", temperature=0.2, max_tokens=7)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("model", "options"),
    [("openai/gpt-4o", {}), ("gpt-4o", {"base_url": "http://127.0.0.1:1/v1"}), ("gpt-4o", {"provider": "openai"})],
)
def test_what_names_a_provider_or_an_address_is_left_to_crewai(model: str, options: dict[str, Any]) -> None:
    assert not isinstance(LLM(model=model, api_key="sk-x", **options), TierLLM)


def test_outside_of_runs_names_are_crewais() -> None:
    """People's own crews say ``tier``."""
    with bind(None):  # type: ignore[arg-type] # as unbound
        assert not isinstance(LLM(model="gpt-4o", api_key="sk-x"), TierLLM)


def test_it_may_be_said_any_number_of_times() -> None:
    once = LLM._overlay_mapped
    let_names_be_tiers()
    assert LLM._overlay_mapped is once
