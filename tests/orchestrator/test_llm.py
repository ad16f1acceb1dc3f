"""The tier-bound LLM: the right tier, the right headers, on every way of calling it."""

import asyncio
import subprocess
import sys
from typing import Literal

import pytest
from crewai import LLM, Agent
from crewai.llms.base_llm import BaseLLM
from pydantic import BaseModel

import orchestrator
from orchestrator.client import close_async_clients
from orchestrator.errors import SettingsInvalid
from orchestrator.identity import register_identity_hooks, running
from orchestrator.llm import TierLLM, tier
from orchestrator.settings import Secret, Settings, bind
from tests.doubles.chat_server import ChatServer, say

pytestmark = pytest.mark.usefixtures("settings")


class Verdict(BaseModel):
    """A structured answer."""

    colour: Literal["red", "green"]


def test_a_call_reaches_the_gateway_under_the_tier_s_name(server: ChatServer) -> None:
    """Model is the tier, the key is ours, and only what was set is in the body."""
    assert tier("routing", temperature=0.0, max_tokens=7).call("Hello") == "Fine."
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == "Bearer sk-test-key"
    assert asked.body == {
        "model": "routing",
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0.0,
        "max_tokens": 7,
    }


def test_the_same_tier_and_options_are_one_object() -> None:
    assert tier("routing", temperature=0.5) is tier("routing", temperature=0.5)
    assert tier("routing", temperature=0.5) is not tier("routing", temperature=0.6)
    assert tier("routing") is not tier("reasoning")


def test_another_gateway_gets_another_llm(settings: Settings) -> None:
    """What is shared is never shared across gateways or keys."""
    here = tier("routing")
    with bind(Settings(url=settings.url, key=Secret("sk-other"))):
        assert tier("routing") is not here


def test_without_settings_the_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIERGATE_KEY", raising=False)
    monkeypatch.delenv("TIERGATE_KEY_FILE", raising=False)
    with pytest.raises(SettingsInvalid, match="No key"), bind(None):  # type: ignore[arg-type] # as unbound
        tier("routing")


def test_streamed_text_arrives_whole(server: ChatServer) -> None:
    server.script = say("A rather long answer, in many pieces.")
    assert tier("reasoning", stream=True).call("Go") == "A rather long answer, in many pieces."
    (asked,) = server.asked
    assert asked.body["stream"] is True


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output_is_sent_as_a_schema_and_comes_back_as_a_model(server: ChatServer, *, stream: bool) -> None:
    server.script = say('{"colour": "green"}')
    assert tier("routing", stream=stream).call("Which?", response_model=Verdict) == Verdict(colour="green")
    (asked,) = server.asked
    assert asked.schema is not None
    assert asked.schema["properties"]["colour"]["enum"] == ["red", "green"]


@pytest.mark.parametrize("stream", [False, True])
async def test_structured_output_works_asynchronously_too(server: ChatServer, *, stream: bool) -> None:
    """CrewAI's own streamed asynchronous path would not send the schema and return text."""
    server.script = say('{"colour": "red"}')
    llm = tier("routing", stream=stream)
    assert await llm.acall("Which?", response_model=Verdict) == Verdict(colour="red")
    assert server.asked[0].schema is not None


@pytest.mark.parametrize("stream", [False, True])
async def test_an_asynchronous_call_carries_the_run(server: ChatServer, *, stream: bool) -> None:
    llm = tier("reasoning", stream=stream)
    with running("run-7"):
        assert await llm.acall("Go") == "Fine."
    (asked,) = server.asked
    assert asked.headers["x-tiergate-run"] == "run-7"
    assert bool(asked.body.get("stream")) is stream


def test_one_llm_serves_one_event_loop_after_another(server: ChatServer) -> None:
    """CrewAI's own asynchronous client would fail on the second loop."""
    llm = tier("routing")

    async def call() -> object:
        try:
            return await llm.acall("Go")
        finally:
            await close_async_clients()

    assert [asyncio.run(call()), asyncio.run(call())] == ["Fine.", "Fine."]
    assert len(server.asked) == 2


def test_the_context_window_is_the_tier_s(server: ChatServer) -> None:
    """A large tool result must reach the model whole: CrewAI cuts by the window that it is told."""
    assert tier("routing").get_context_window_size() == 131_072
    assert tier("routing", context=16_384).get_context_window_size() == 16_384
    assert LLM("routing", provider="openai", base_url=server.url, api_key="k").get_context_window_size() < 16_384


@pytest.mark.parametrize("name", ["pro1-large", "gpt-5-like", "o1", "gemma-local"])
def test_a_tier_s_name_decides_nothing_but_the_tier(server: ChatServer, name: str) -> None:
    """CrewAI reads powers and providers out of model names."""
    llm = tier(name)
    llm.call("Hello")
    assert llm.supports_function_calling()
    assert server.asked[0].model == name


def test_the_key_is_neither_printed_nor_serialised() -> None:
    """CrewAI writes an LLM's fields into its checkpoints."""
    llm = tier("routing")
    assert "sk-test-key" not in f"{llm!r}{llm}{llm.model_dump_json()}{llm.to_config_dict()}"


def test_an_agent_without_a_crew_is_named(server: ChatServer) -> None:
    register_identity_hooks()
    agent = Agent(role="solo  expert\n", goal="Answer.", backstory="Alone.", llm=tier("reasoning"))
    with running("run-8"):
        agent.kickoff("Hello")
    (asked,) = server.asked
    assert asked.headers["x-tiergate-agent"] == "solo  expert"
    assert asked.headers["x-tiergate-run"] == "run-8"


def test_it_is_an_llm_that_crewai_takes_as_it_is() -> None:
    llm = tier("routing")
    agent = Agent(role="r", goal="g", backstory="b", llm=llm)
    assert isinstance(llm, BaseLLM)
    assert isinstance(agent.llm, TierLLM)
    assert agent.llm is llm


def test_it_is_at_the_top_of_the_package_and_crewai_is_not() -> None:
    """For people's own crews; whoever imports the package for something else does not wait for CrewAI."""
    assert orchestrator.tier is tier
    with pytest.raises(AttributeError, match="no attribute 'tear'"):
        _ = orchestrator.tear
    program = "import orchestrator, sys; sys.exit('crewai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
