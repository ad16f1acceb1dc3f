# ruff: noqa: D102 - the steps here are test data
"""Flows of every shape whose graph is read: none of them ever runs."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar

from crewai import LLM, Agent, Crew, Process
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.flow.flow import Flow, and_, listen, or_, router, start
from crewai.flow.human_feedback import human_feedback
from crewai.project import CrewBase, agent, llm
from pydantic import BaseModel

from orchestrator.llm import TierLLM, tier
from orchestrator.step_tiers import DECLARED

CHEAP = "routing"
Method = TypeVar("Method", bound=Callable[..., object])


class Note(BaseModel):
    """The state."""

    topic: str = "tides"


def declares(*names: str) -> Callable[[Method], Method]:
    """Says which tiers a step uses."""

    def mark(method: Method) -> Method:
        setattr(method, DECLARED, names)
        return method

    return mark


def writer() -> Agent:
    """An agent made in a helper."""
    return Agent(role="writer", goal="write", backstory="writes", llm=tier(CHEAP))


class Desk:
    """What holds agents, some of which show only in its methods."""

    @property
    def writers(self) -> list[BaseAgent]:
        """Made when they are asked for."""
        return [writer()]

    def crew(self) -> Crew:
        """A crew with a manager."""
        model = tier("code")
        return Crew(
            agents=self.writers,
            tasks=[],
            process=Process.hierarchical,
            manager_llm="reasoning",
            planning_llm=model,
            function_calling_llm=None,
        )


DESK = Desk()


async def ask(crew: Crew, topic: str) -> None:
    """Asks whom it is given."""
    await crew.kickoff_async({"topic": topic})


@CrewBase
class Configured:
    """One agent has its LLM from the code, another by the name of a method, the third nowhere."""

    agents_config: ClassVar[dict[str, Any]] = {"given": {"role": "x", "llm": "unused"}, "named": {"llm": "steady"}}

    @llm
    def steady(self) -> TierLLM:
        return tier("reasoning", temperature=0.0)

    @agent
    def given(self) -> Agent:
        return Agent(config=self.agents_config["given"], llm="routing")

    @agent
    def named(self) -> Agent:
        return Agent(config=self.agents_config["named"])


@CrewBase
class Undecided:
    """An agent without an LLM: CrewAI's default model, which an environment decides."""

    agents_config: ClassVar[dict[str, Any]] = {"reader": {"role": "reader"}}


@CrewBase
class Broken:
    """Its file is not what CrewAI wants."""

    agents_config = "drawn_agents.yaml"


class Crews(Flow[Note]):
    """Steps that use crews and agents that exist, that are made, and that are configured."""

    _skip_auto_memory = True

    @start()
    async def configured(self) -> None:
        Configured()

    @start()
    async def undecided(self) -> None:
        Undecided()

    @start()
    async def broken(self) -> None:
        Broken()

    @start()
    async def made(self) -> None:
        Desk().crew()

    @start()
    async def existing(self) -> None:
        DESK.crew()

    @start()
    async def handed_on(self) -> None:
        await ask(DESK.crew(), self.state.topic)

    @start()
    async def one_by_one(self) -> None:
        if self.state.topic:
            found = [await tier("code").acall("find")]
            await tier("routing").acall(str(found))
        await tier("reasoning").acall("conclude")

    @start()
    async def imported_here(self) -> None:
        from tests.orchestrator.drawn_flows import CHEAP as NAME  # noqa: PLC0415 - what the test is about

        await tier(NAME).acall("hello")

    @start()
    async def unnamed(self) -> None:
        name = self.state.topic
        Agent(role="x", goal="x", backstory="x", llm=name.lower().upper())
        Agent(role="x", goal="x", backstory="x", llm=self.state.topic)


class Reviewed(Flow[Note]):
    """Two starts, a join, a loop with a gate, and a person at the end."""

    _skip_auto_memory = True

    @start()
    def sources(self) -> None:
        """Finds what to read."""

    @start()
    async def outline(self) -> None:
        await writer().kickoff_async("outline")

    @listen(or_(and_(sources, outline), "again"))
    async def draft(self) -> None:
        await self._ask("reasoning")
        await Agent(role="critic", goal="judge", backstory="judges", llm="reasoning").kickoff_async("judge")

    @router(draft)
    def judge(self) -> Literal["again", "good"]:
        return "good"

    @listen("good")
    @human_feedback(message="Is this fit to print?", emit=["printed", "dropped"], llm="routing")
    async def show(self) -> str:
        return "the draft"

    @listen("printed")
    def publish(self) -> None:
        """Sends it away."""

    async def _ask(self, name: str) -> object:
        return await tier("thinking").acall(name)


class Vague(Flow[Note]):
    """What cannot be told without running."""

    _skip_auto_memory = True

    @start()
    async def pick(self) -> None:
        await tier(self.state.topic).acall("hello")

    @router(pick)
    def choose(self) -> str:
        return str(self.state.topic)

    @listen("left")
    async def ask_whom(self) -> None:
        await self.helper.kickoff_async("hello")

    @listen("right")
    def defaulted(self) -> Agent:
        return Agent(role="anybody", goal="help", backstory="helps")

    @listen("right")
    async def elsewhere(self) -> None:
        await LLM("openai/gpt-4o").acall("hello")

    @listen("right")
    @declares("code", "routing")
    def declared(self) -> None:
        """Says by itself what it uses."""

    helper: Any = None
