"""Research and report, one after the other: a cheap tier collects facts, a strong tier writes.

research (routing) → write (reasoning) → report
"""

from crewai.flow.flow import Flow, listen, start
from pydantic import BaseModel

from research_report.crews.research.crew import Facts, ResearchCrew
from research_report.crews.writing.crew import WritingCrew


class Question(BaseModel):
    """What comes in, and what each step adds to it."""

    topic: str = "the tides of the sea"
    facts: list[str] = []
    text: str = ""


class Report(BaseModel):
    """What comes out."""

    topic: str
    facts: list[str]
    text: str


class ResearchReportFlow(Flow[Question]):
    _skip_auto_memory = True  # this Flow remembers nothing; without it CrewAI loads a vector database

    @start()
    async def research(self) -> None:
        result = await ResearchCrew().crew().akickoff(inputs={"topic": self.state.topic})
        if not isinstance(result.pydantic, Facts):
            raise TypeError("the researcher named no facts")
        self.state.facts = [result.pydantic.first, result.pydantic.second]

    @listen(research)
    async def write(self) -> None:
        facts = " ".join(self.state.facts)
        result = await WritingCrew().crew().akickoff(inputs={"topic": self.state.topic, "facts": facts})
        self.state.text = " ".join(result.raw.split())

    @listen(write)
    def report(self) -> Report:
        return Report(topic=self.state.topic, facts=self.state.facts, text=self.state.text)
