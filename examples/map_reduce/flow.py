"""Three starts side by side on a cheap tier, and one step on a strong tier that waits for all of them.

study_history (routing) ─┐
study_trade   (routing) ─┼→ compare (reasoning) → portrait
study_nature  (routing) ─┘
"""

from crewai.flow.flow import Flow, and_, listen, start
from pydantic import BaseModel

from map_reduce.crews.comparing.crew import ComparingCrew
from map_reduce.crews.study.crew import StudyCrew


class Place(BaseModel):
    """What comes in. Each start writes a field of its own, so that they cannot be in each other's way."""

    place: str = "Lisbon"
    history: str = ""
    trade: str = ""
    nature: str = ""
    summary: str = ""


class Portrait(BaseModel):
    """What comes out."""

    place: str
    findings: list[str]
    summary: str


class MapReduceFlow(Flow[Place]):
    _skip_auto_memory = True  # this Flow remembers nothing; without it CrewAI loads a vector database

    @start()
    async def study_history(self) -> None:
        self.state.history = await self._study("history")

    @start()
    async def study_trade(self) -> None:
        self.state.trade = await self._study("trade")

    @start()
    async def study_nature(self) -> None:
        self.state.nature = await self._study("nature")

    @listen(and_(study_history, study_trade, study_nature))
    async def compare(self) -> None:
        state = self.state
        inputs = {"place": state.place, "findings": f"{state.history} {state.trade} {state.nature}"}
        result = await ComparingCrew().crew().akickoff(inputs=inputs)
        state.summary = " ".join(result.raw.split())

    @listen(compare)
    def portrait(self) -> Portrait:
        state = self.state
        return Portrait(place=state.place, findings=[state.history, state.trade, state.nature], summary=state.summary)

    async def _study(self, side: str) -> str:
        result = await StudyCrew().crew().akickoff(inputs={"side": side, "place": self.state.place})
        return " ".join(result.raw.split())
