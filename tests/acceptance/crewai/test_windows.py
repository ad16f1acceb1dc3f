"""CrewAI fills what a tier's context holds, as the gateway tells it: no less, and no more."""

from collections.abc import Iterator
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.events.event_bus import crewai_event_bus
from crewai.tools import tool

from orchestrator.llm import tier as tier_llm
from orchestrator.settings import Secret, Settings, bind
from tests.acceptance.conftest import KEY, ROUTING_MODEL, StartGateway, tier, tier_map
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore")]

FACTS = 1000
NARROW, WIDE = 4_000, 64_000


@tool("all_facts")
def all_facts(topic: str) -> str:
    """Tell all facts of a topic."""
    return "\n".join(f"fact {number} of {topic}" for number in range(FACTS))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """CrewAI's event handlers end with the test that started them."""
    yield
    crewai_event_bus.flush()


def read_by(name: str) -> None:
    """An agent calls a tool whose result has some four thousand tokens."""
    agent = Agent(role="reader", goal="Read.", backstory="Reads.", llm=tier_llm(name), tools=[all_facts])
    task = Task(description="Read about tides.", expected_output="A word.", agent=agent)
    Crew(agents=[agent], tasks=[task]).kickoff()


def test_a_tools_result_reaches_a_tier_that_holds_it_and_is_put_aside_for_one_that_does_not(
    routing_upstream: OpenAIUpstream, start_gateway: StartGateway
) -> None:
    """A tier that escalates holds what its larger tier holds."""
    larger = "org/larger-8b"
    with OpenAIUpstream(models=(larger,), api_key="upstream-secret-5c0ffee").in_thread() as upstream:
        tiers: dict[str, Any] = {
            "narrow": tier(routing_upstream.url, ROUTING_MODEL, context=NARROW),
            "climbing": tier(routing_upstream.url, ROUTING_MODEL, context=NARROW, escalation=["wide"]),
            "wide": tier(upstream.url, larger, context=WIDE),
        }
        gateway = start_gateway(tier_map(tiers))
        with bind(Settings(url=gateway.url, key=Secret(KEY))):
            told = {name: tier_llm(name).get_context_window_size() for name in tiers}
            assert told == {"narrow": int(NARROW * 0.85), "climbing": int(WIDE * 0.85), "wide": int(WIDE * 0.85)}
            seen = {}
            for name in ("narrow", "wide"):
                routing_upstream.forget()
                upstream.forget()
                read_by(name)
                texts = [str(post.body) for post in (*routing_upstream.posts, *upstream.posts)]
                seen[name] = (any(f"fact {FACTS - 1} of" in text for text in texts), max(map(len, texts)))
    assert seen["wide"][0], "the whole result was read"
    assert not seen["narrow"][0], "what would not fit was put aside"
    assert seen["narrow"][1] < NARROW * 4
