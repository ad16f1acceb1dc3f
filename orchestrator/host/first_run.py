"""A run of nothing: what CrewAI loads and makes at a process' first run is paid for before anybody waits for it."""

import gc
from asyncio import sleep
from typing import Final

from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start
from crewai.llms.base_llm import BaseLLM
from pydantic import BaseModel

from orchestrator.flow import run_flow
from orchestrator.llm import tier
from orchestrator.quiet import drop_listeners

COLLECTED_AT: Final = (5_000, 10, 20)
"""When the collector looks at what is new, at what is older, and at everything: new objects, then rounds of the one
before. With 20,000 new objects a look at what is older took 0.2 s with two hundred runs under way."""


class Nothing(BaseModel):
    """The state of a Flow that does nothing."""

    done: bool = False


class FirstRun(Flow[Nothing]):
    """Two steps, one on the event loop and one in a thread."""

    _skip_auto_memory = True

    @start()
    async def begin(self) -> None:
        """A step on the event loop."""
        await sleep(0)

    @listen(begin)
    def end(self) -> None:
        """A step in a thread."""
        self.state.done = True


class Silence(BaseLLM):
    """A model that answers without being asked anywhere."""

    def call(self, *_: object, **__: object) -> str:
        """The same answer to everything."""
        return "Thought: I now can give a great answer\nFinal Answer: nothing"


async def first_run() -> None:
    """Run a Flow and a crew of nothing on the running loop.

    Afterwards CrewAI's own listeners are dropped.
    """
    await run_flow(FirstRun)
    agent = Agent(role="nobody", goal="nothing", backstory="none", llm=Silence(model="nothing"), max_iter=1)
    task = Task(description="Do nothing.", expected_output="nothing", agent=agent)
    await Crew(agents=[agent], tasks=[task]).akickoff()
    # Making a client takes a hundredth of a second for its certificates, its first use a tenth for what it imports.
    warm = tier("routing")
    warm._get_sync_client().chat.completions  # noqa: B018, SLF001 - made when it is first asked for
    warm._get_async_client().chat.completions  # noqa: B018, SLF001 - as above
    drop_listeners()


def calm_collector() -> None:
    """Take all that lives by now out of the sight of the collector of cycles, for the whole process.

    Its walk over CrewAI's modules would hold up every run for a tenth of a second, time and again. What comes later is
    looked at in portions that take some hundredths of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AT)
