"""Support triage: a cheap tier sorts the message, a strong tier works on it, typed state carries the results.

classify (routing) ─┬─ billing   → look_up_terms ───────────┐
                    ├─ technical → investigate (reasoning) ─┼→ apologise (reasoning) → explain (reasoning) → report
                    └─ other     → note_open_question ──────┘
"""

from typing import Literal

from crewai.flow.flow import Flow, listen, or_, router, start
from pydantic import BaseModel

from support_triage.crews.answer.crew import AnswerCrew
from support_triage.crews.triage.crew import Topic, TriageCrew

Category = Literal["billing", "technical", "other"]

CATEGORIES: dict[str, Category] = {
    "a payment": "billing",
    "a technical problem": "technical",
    "a general question": "other",
}


class Ticket(BaseModel):
    """What comes in, with defaults for a first run, and what each step adds to it."""

    customer: str = "Ada"
    message: str = "The app crashes with error 500 every time I try to log in since the update."
    category: Category | None = None
    findings: str = ""
    apology: str = ""
    explanation: str = ""


class SupportTriageFlow(Flow[Ticket]):
    _skip_auto_memory = True  # this Flow remembers nothing; without it CrewAI loads a vector database

    @start()
    async def classify(self) -> None:
        result = await TriageCrew().crew().akickoff(inputs={"message": self.state.message})
        if not isinstance(result.pydantic, Topic):
            raise TypeError("the router named no topic")
        self.state.category = CATEGORIES[result.pydantic.about]

    @router(classify)
    def choose_branch(self) -> Category:
        return self.state.category or "other"

    @listen("billing")
    def look_up_terms(self) -> None:
        self.state.findings = "A wrong charge is paid back within five working days."

    @listen("technical")
    async def investigate(self) -> None:
        self.state.findings = await self._ask("investigate", message=self.state.message)

    @listen("other")
    def note_open_question(self) -> None:
        self.state.findings = "A colleague will read this question today and write back."

    @listen(or_(look_up_terms, investigate, note_open_question))
    async def apologise(self) -> None:
        self.state.apology = await self._ask("apologise", message=self.state.message)

    @listen(apologise)
    async def explain(self) -> None:
        self.state.explanation = await self._ask("explain", findings=self.state.findings)

    @listen(explain)
    def report(self) -> str:
        ticket = self.state
        return "\n".join(
            [
                f"Ticket    {ticket.category}",
                f"Message   {ticket.message}",
                f"Findings  {ticket.findings}",
                "",
                f"Dear {ticket.customer},",
                "",
                ticket.apology,
                ticket.explanation,
                "",
                "Your support team",
            ]
        )

    async def _ask(self, task: str, **inputs: str) -> str:
        answers = AnswerCrew()
        result = await answers.crew_for(getattr(answers, task)()).akickoff(inputs=inputs)
        return " ".join(result.raw.split()).strip('"')
