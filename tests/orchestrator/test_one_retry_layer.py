"""What a failing call costs: a known number of requests, whoever asks."""

import asyncio
from collections.abc import Callable

import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.flow.flow import Flow, start
from pydantic import BaseModel

from orchestrator.flow import run_flow
from orchestrator.llm import tier
from orchestrator.one_retry_layer import client_retries, drop_agent_retries, retried_by_step
from orchestrator.settings import bind
from tests.doubles.chat_server import ChatServer, Refusal

pytestmark = pytest.mark.usefixtures("settings")

SOON = {"retry-after-ms": "1"}
BROKEN = Refusal(status=503, code="upstream_error", message="No worker.", headers=SOON)
SPENT = Refusal(
    status=402,
    code="budget_exhausted",
    message="Spent; its rate limit is no matter.",
    headers={"x-should-retry": "false"},
)
LIMITED = Refusal(status=429, code="rate_limited", message="Too many requests.", headers=SOON)


class Nothing(BaseModel):
    """No state."""


class OneAgent(Flow[Nothing]):
    """Asks an agent alone."""

    _skip_auto_memory = True

    @start()
    def speak(self) -> str:
        """Its only step."""
        return str(agent().kickoff("Say something."))


class OneCrew(Flow[Nothing]):
    """Asks a crew of one."""

    _skip_auto_memory = True

    @start()
    async def speak(self) -> str:
        """Its only step."""
        one = agent()
        task = Task(description="Say something.", expected_output="Something.", agent=one)
        return str(await Crew(agents=[one], tasks=[task]).akickoff())


def agent() -> Agent:
    """As people write one: with CrewAI's own limit of retries."""
    return Agent(role="writer", goal="write", backstory="none", llm=tier("routing"))


def call() -> object:
    """A call of the model alone."""
    return tier("routing").call("Hello")


def acall() -> object:
    """The same, asynchronously."""
    return asyncio.run(tier("routing").acall("Hello"))


def streamed() -> object:
    """The same, streamed."""
    return tier("routing", stream=True).call("Hello")


def an_agent() -> object:
    """A Flow with an agent."""
    return asyncio.run(run_flow(OneAgent))


def a_crew() -> object:
    """A Flow with a crew."""
    return asyncio.run(run_flow(OneCrew))


@pytest.fixture(autouse=True)
def undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """CrewAI is as it was after each test."""
    monkeypatch.setattr(Agent, "_check_execution_error", Agent._check_execution_error)


@pytest.mark.parametrize("way", [call, acall, streamed, an_agent, a_crew])
@pytest.mark.parametrize(("refusal", "alone", "in_a_step"), [(BROKEN, 3, 1), (LIMITED, 3, 1), (SPENT, 1, 1)])
def test_a_failing_call_costs_three_requests_at_most_and_one_where_the_step_is_tried_again(
    *, server: ChatServer, way: Callable[[], object], refusal: Refusal, alone: int, in_a_step: int
) -> None:
    """Not nine, nor twenty-seven; also where a message mentions a rate limit."""
    server.script = lambda _: refusal
    with pytest.raises(Exception, match=refusal.message):
        way()
    assert len(server.asked) == alone
    with retried_by_step(), pytest.raises(Exception, match=refusal.message):
        way()
    assert len(server.asked) == alone + in_a_step


def test_outside_of_runs_an_agent_is_crewais(server: ChatServer) -> None:
    """As its author bounds it, also in a process that had a run."""
    drop_agent_retries()
    server.script = lambda _: SPENT
    llm = LLM(model="openai/routing", base_url=server.url, api_key="sk-x")
    with bind(None), pytest.raises(Exception, match=SPENT.message):  # type: ignore[arg-type] # as unbound
        Agent(role="writer", goal="write", backstory="none", llm=llm, max_retry_limit=1).kickoff("Say something.")
    assert len(server.asked) > 1


def test_it_may_be_switched_off_any_number_of_times() -> None:
    drop_agent_retries()
    once = Agent._check_execution_error
    drop_agent_retries()
    assert Agent._check_execution_error is once


def test_the_client_repeats_nothing_inside_of_what_is_tried_again() -> None:
    assert client_retries(2) == 2
    with retried_by_step():
        assert client_retries(2) == 0
    assert client_retries(2) == 2
