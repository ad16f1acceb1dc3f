"""A CrewAI agent gets the same answer over every transport: warm and cold, whole and streamed, with tools and a schema.

Behind every transport is the emulator's generator with one seed, so that the same prompt means the same answer.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.events.event_bus import crewai_event_bus
from crewai.tools import tool
from pydantic import BaseModel

from tests.acceptance.conftest import KEY
from tests.acceptance.emulated_system import emulated_tier, gateway_before, has_litellm
from tests.acceptance.emulator_process import EmulatedEndpoint, EmulatorProcess
from tests.acceptance.gateway_process import GatewayProcess

# CrewAI and what it imports warn of their own future; that is theirs to mend.
pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

SPEED = 100.0
WAYS = ("openai", "route", "job", "balancer")
"""And ``litellm``, where the gateway has LiteLLM."""
TRANSPORT = {"route": "runpod-queue", "job": "runpod-queue", "balancer": "runpod-load-balancer"}
COLD_ENDPOINTS = 4
"""As many as there are tests, and each has one that nobody has asked yet."""
COLD_SECONDS = 105


class Verdict(BaseModel):
    """What a task is to answer with."""

    label: str
    score: int


@tool("city_weather")
def city_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"22 degrees in {city}"


class System:
    """The gateway before the emulator, with a tier for each way."""

    def __init__(self, gateway: GatewayProcess, ways: Sequence[str]) -> None:
        self.gateway = gateway
        self._ways = ways
        self._cold = itertools.count()

    def tiers(self) -> list[str]:
        """One tier for each way; the one that is asked by a job is cold."""
        return [f"job-{next(self._cold)}" if way == "job" else way for way in self._ways]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("crewai")
    with EmulatorProcess(directory, python=gateway_python, speed=SPEED) as emulator:
        emulator.quota(100)
        engine = emulator.endpoint("engine", "LOAD_BALANCER")
        warm: dict[str, EmulatedEndpoint] = {
            "openai": engine,
            "balancer": emulator.endpoint("balancer", "LOAD_BALANCER"),
            "route": emulator.endpoint("queue", "QUEUE"),
        }
        for endpoint in warm.values():
            endpoint.warm()
        ways: Sequence[str] = WAYS
        if has_litellm(gateway_python):
            warm["litellm"] = engine
            ways = (*WAYS, "litellm")
        tiers = {way: emulated_tier(endpoint, TRANSPORT.get(way, way)) for way, endpoint in warm.items()}
        for number in range(COLD_ENDPOINTS):
            cold = emulator.endpoint(f"cold-{number}", "QUEUE")
            cold.spoil(pullSeconds=0, loadSeconds=COLD_SECONDS)
            tiers[f"job-{number}"] = emulated_tier(cold, "runpod-queue")
        with gateway_before(emulator, tiers, directory, gateway_python) as gateway:
            yield System(gateway, ways)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """CrewAI's event handlers end with the test that started them."""
    yield
    crewai_event_bus.flush()


def kick_off(system: System, tier: str, run: str, *, stream: bool = False, tools: Any = (), **task: Any) -> Any:  # noqa: ANN401 - as CrewAI
    """Run one task of one agent on that tier."""
    llm = LLM(
        f"openai/{tier}",
        base_url=system.gateway.url,
        api_key=KEY,
        stream=stream,
        extra_headers={"x-tiergate-run": f"{run}-{tier}"},
    )
    agent = Agent(role="Router", goal="Route", backstory="Routes.", llm=llm, tools=list(tools), verbose=False)
    described = Task(description="Say where to go", expected_output="A verdict", agent=agent, **task)
    return Crew(agents=[agent], tasks=[described], verbose=False).kickoff()


def usage_of(result: Any) -> tuple[int, int]:  # noqa: ANN401 - CrewAI's result
    """Tokens of all its calls, as CrewAI counted them."""
    return result.token_usage.prompt_tokens, result.token_usage.completion_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_an_agents_answer_is_the_same_over_every_transport(system: System, run: str, stream: bool) -> None:
    results = [kick_off(system, tier, run, stream=stream) for tier in system.tiers()]
    assert results[0].raw
    assert {result.raw for result in results} == {results[0].raw}
    assert {usage_of(result) for result in results} == {usage_of(results[0])}


def test_an_agents_tool_is_called_over_every_transport(system: System, run: str) -> None:
    """LiteLLM leaves a null out of the messages that the second request repeats: another prompt for the generator."""
    results = {tier: kick_off(system, tier, run, tools=[city_weather]) for tier in system.tiers()}
    for tier in results:
        assert len(system.gateway.records(run=f"{run}-{tier}")) == 2
    foreign = results.pop("litellm", None)
    assert foreign is None or foreign.raw
    assert len({result.raw for result in results.values()}) == 1


def test_a_task_gets_the_same_structured_output_over_every_transport(system: System, run: str) -> None:
    results = [kick_off(system, tier, run, output_pydantic=Verdict) for tier in system.tiers()]
    assert isinstance(results[0].pydantic, Verdict)
    assert all(result.pydantic == results[0].pydantic for result in results)
