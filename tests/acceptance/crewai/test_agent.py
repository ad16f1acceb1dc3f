"""A CrewAI agent as its users write it, with nothing of ours in it but the gateway's address and a tier's name."""

import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.events.event_bus import crewai_event_bus
from crewai.tools import tool
from pydantic import BaseModel

from tests.acceptance.conftest import KEY
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

# CrewAI and what it imports warn of their own future; that is theirs to mend.
pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

ANSWER = "Final verdict: Zürich 🙂 it is."


class Verdict(BaseModel):
    """What a task is to answer with."""

    label: str
    score: int


@tool("city_weather")
def city_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"22 degrees in {city}"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """CrewAI's event handlers end with the test that started them."""
    yield
    crewai_event_bus.flush()


def agent_on(gateway: GatewayProcess, run: str, *, stream: bool = False, tools: Any = ()) -> Agent:  # noqa: ANN401 - as CrewAI
    """An agent on the tier ``routing``; the run is named so that the gateway's records can be found."""
    llm = LLM(
        "openai/routing",
        base_url=gateway.url,
        api_key=KEY,
        stream=stream,
        extra_headers={"x-tiergate-run": run, "x-tiergate-agent": f"saver-{run}"},
    )
    return Agent(role="Router", goal="Route", backstory="Routes.", llm=llm, tools=list(tools), verbose=False)


def kick_off(agent: Agent, **task: Any) -> Any:  # noqa: ANN401 - CrewAI's result
    """Run one task of one agent."""
    described = Task(description="Say where to go", expected_output="A verdict", agent=agent, **task)
    return Crew(agents=[agent], tasks=[described], verbose=False).kickoff()


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_gets_its_answer_through_the_gateway(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream, run: str, stream: bool
) -> None:
    """Streamed, CrewAI drops the text of any chunk that carries usage: the whole text shows that none did."""
    routing_upstream.default = Behaviour(text=ANSWER, usage="continuous" if stream else "asked")
    result = kick_off(agent_on(gateway, run, stream=stream))
    assert result.raw == ANSWER
    record = gateway.record(run=run)
    assert (record["tier"], record["agent"], record["stream"]) == ("routing", f"saver-{run}", stream)
    assert record["output_tokens"] == result.token_usage.completion_tokens == len(ANSWER.split())


def test_an_agents_tool_is_called_and_its_result_used(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream, run: str
) -> None:
    result = kick_off(agent_on(gateway, run, tools=[city_weather]))
    assert result.raw.endswith("22 degrees in text")
    first, second = (request.json() for request in routing_upstream.posts)
    assert first["tools"][0]["function"]["name"] == "city_weather"
    assert second["messages"][-2]["tool_calls"][0]["function"]["name"] == "city_weather"
    assert len(gateway.records(run=run)) == 2


def test_a_task_gets_its_structured_output(gateway: GatewayProcess, run: str) -> None:
    result = kick_off(agent_on(gateway, run), output_pydantic=Verdict)
    assert result.pydantic == Verdict(label="text", score=1)
    assert gateway.record(run=run)["outcome"] == "ok"


def test_a_spent_budget_costs_an_agent_three_requests_and_no_more(
    gateway: GatewayProcess, routing_upstream: OpenAIUpstream, run: str
) -> None:
    """The agent runs its task three times; neither the SDK nor CrewAI's retries may multiply that."""
    llm = LLM(
        "openai/routing",
        base_url=gateway.url,
        api_key=KEY,
        extra_headers={"x-tiergate-run": run, "x-tiergate-agent": f"pauper-{run}"},
    )
    llm.call("The only request that the budget covers")
    agent = Agent(role="Router", goal="Route", backstory="Routes.", llm=llm, verbose=False)
    started = time.monotonic()
    with pytest.raises(openai.APIStatusError) as caught:
        kick_off(agent)
    assert time.monotonic() - started < 10
    assert (caught.value.status_code, caught.value.code) == (402, "budget_exhausted")
    gateway.wait_until(lambda: len(gateway.records(run=run)) >= 4)
    assert sorted(record["status"] for record in gateway.records(run=run)) == [200, 402, 402, 402]
    assert len(routing_upstream.posts) == 1
