"""A loop with a gate: a cheap tier drafts and judges, twice at most; then a strong tier writes it.

draft (routing) → judge (routing) ─┬─ good ───────────────────────────┬→ publish
      ↑                            ├─ escalate → rewrite (reasoning) ─┘
      └────────────────────────────┴─ again
"""

from typing import Literal

from crewai.flow.flow import Flow, listen, or_, router, start
from pydantic import BaseModel

from quality_loop.crews.drafting.crew import DraftingCrew
from quality_loop.crews.judging.crew import JudgingCrew, Verdict
from quality_loop.crews.rewriting.crew import RewritingCrew

DRAFTS_MAX = 2  # what a loop can cost is bounded where it is written; a budget per run bounds it once more


class Request(BaseModel):
    """What comes in, and what each step adds to it."""

    request: str = "Invite the team to lunch on Friday."
    drafts: int = 0
    text: str = ""
    escalated: bool = False


class Text(BaseModel):
    """What comes out."""

    text: str
    drafts: int
    escalated: bool


class QualityLoopFlow(Flow[Request]):
    _skip_auto_memory = True  # this Flow remembers nothing; without it CrewAI loads a vector database

    @start("again")  # the only start: a run begins with it, and each "again" leads back to it
    async def draft(self) -> None:
        result = await DraftingCrew().crew().akickoff(inputs={"request": self.state.request})
        self.state.text = " ".join(result.raw.split())
        self.state.drafts += 1

    @router(draft)
    async def judge(self) -> Literal["good", "again", "escalate"]:
        inputs = {"request": self.state.request, "text": self.state.text}
        result = await JudgingCrew().crew().akickoff(inputs=inputs)
        if isinstance(result.pydantic, Verdict) and result.pydantic.quality == "good":
            return "good"
        return "again" if self.state.drafts < DRAFTS_MAX else "escalate"

    @listen("escalate")
    async def rewrite(self) -> None:
        result = await RewritingCrew().crew().akickoff(inputs={"request": self.state.request, "text": self.state.text})
        self.state.text = " ".join(result.raw.split())
        self.state.escalated = True

    @listen(or_("good", rewrite))
    def publish(self) -> Text:
        return Text(text=self.state.text, drafts=self.state.drafts, escalated=self.state.escalated)
