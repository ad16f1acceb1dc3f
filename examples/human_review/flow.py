"""A letter that a person has to approve: the run waits, on no worker, for as long as that takes.

write (reasoning) → a person ─┬─ approved → send
                              └─ changes  → revise (reasoning)
"""

from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import HumanFeedbackResult, human_feedback
from pydantic import BaseModel

from human_review.crews.revising.crew import RevisingCrew
from human_review.crews.writing.crew import WritingCrew


class Case(BaseModel):
    """What comes in."""

    customer: str = "Ada"
    request: str = "She asks for a refund of last month's bill."


class Letter(BaseModel):
    """What comes out."""

    text: str
    approved: bool


class HumanReviewFlow(Flow[Case]):
    _skip_auto_memory = True  # this Flow remembers nothing; without it CrewAI loads a vector database

    @start()
    @human_feedback(
        message="May this letter be sent?",
        emit=["approved", "changes"],
        llm="routing",  # finds out which of these the person meant
        default_outcome="changes",
    )
    async def write(self) -> str:
        inputs = {"customer": self.state.customer, "request": self.state.request}
        result = await WritingCrew().crew().akickoff(inputs=inputs)
        return " ".join(result.raw.split())

    @listen("approved")
    def send(self, review: HumanFeedbackResult) -> Letter:
        return Letter(text=str(review.output), approved=True)

    @listen("changes")
    async def revise(self, review: HumanFeedbackResult) -> Letter:
        inputs = {"text": str(review.output), "wish": review.feedback or "Make it shorter."}
        result = await RevisingCrew().crew().akickoff(inputs=inputs)
        return Letter(text=" ".join(result.raw.split()), approved=False)
