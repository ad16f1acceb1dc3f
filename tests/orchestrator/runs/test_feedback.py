# ruff: noqa: D101, D102 - the Flows here are test data
"""A run that asks a person waits, for as long as it takes, and goes on with the answer on any worker."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crewai.flow.async_feedback import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow, and_, listen, start
from crewai.flow.human_feedback import HumanFeedbackResult, human_feedback
from crewai.flow.persistence.factory import default_flow_persistence
from pydantic import BaseModel

from orchestrator.runs.run import Question
from tests.doubles.chat_server import ChatServer, say
from tests.orchestrator.runs.desk import desk_in

pytestmark = pytest.mark.usefixtures("settings")

WORLD: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _fresh_world() -> None:
    WORLD.clear()


@dataclass(frozen=True)
class Draft:
    text: str


class Desk(BaseModel):
    said: list[str] = []


class Later:
    """A provider that tells somebody, and leaves the answer for later."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Flow[Any]) -> str:
        del flow
        WORLD["told"] += 1
        raise HumanFeedbackPending(context=context)


class AtOnce:
    """A provider that knows the answer."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Flow[Any]) -> str:
        del flow, context
        WORLD["told"] += 1
        return "good enough"


class Reviewed(Flow[Desk]):
    _skip_auto_memory = True

    @start()
    @human_feedback(message="Is it good?")
    async def write(self) -> Draft:
        WORLD["write"] += 1
        return Draft(f"draft {WORLD['write']}")

    @listen(write)
    async def use(self, review: HumanFeedbackResult) -> str:
        WORLD["use"] += 1
        self.state.said.append(review.feedback)
        return f"{review.output} {review.feedback}"

    @listen(use)
    @human_feedback(message="Really?", provider=Later())
    async def confirm(self, text: str) -> str:
        WORLD["confirm"] += 1
        return text

    @listen(confirm)
    async def end(self, review: HumanFeedbackResult) -> str:
        return f"{review.output} {review.feedback} {self.state.said} {len(self.human_feedback_history)}"


class Routes(Flow[Desk]):
    _skip_auto_memory = True

    @start()
    @human_feedback(message="Well?", emit=["approved", "rejected"], llm="routing", default_outcome="rejected")
    async def write(self) -> str:
        WORLD["write"] += 1
        return "text"

    @listen("approved")
    async def publish(self, review: HumanFeedbackResult) -> str:
        WORLD["publish"] += 1
        if WORLD["publish"] == 1:
            raise ConnectionError("again")
        return f"published {review.output}: {review.feedback}, {review.outcome}"

    @listen("rejected")
    async def drop(self) -> str:
        return "dropped"


class Twice(Flow[Desk]):
    """Two branches ask, and one of them has more to do meanwhile."""

    _skip_auto_memory = True

    @start()
    @human_feedback(message="One?")
    async def one(self) -> str:
        WORLD["one"] += 1
        return "1"

    @start()
    @human_feedback(message="Two?")
    async def two(self) -> str:
        WORLD["two"] += 1
        return "2"

    @start()
    async def three(self) -> str:
        WORLD["three"] += 1
        return "3"

    @listen(three)
    async def more(self) -> None:
        WORLD["more"] += 1

    @listen(and_(one, two, more))
    async def join(self) -> list[str]:
        return sorted(f"{result.method_name} {result.feedback}" for result in self.human_feedback_history)


class Known(Flow[Desk]):
    _skip_auto_memory = True

    @start()
    @human_feedback(message="Is it good?", provider=AtOnce())
    async def write(self) -> str:
        return "text"

    @listen(write)
    async def use(self, review: HumanFeedbackResult) -> str:
        WORLD["use"] += 1
        if WORLD["use"] == 1:
            raise ConnectionError("again")
        return f"{review.output}: {review.feedback}"


def at_once(_error: BaseException, attempt: int, **_: object) -> float | None:
    """One more try."""
    return 0.0 if attempt == 1 else None


async def test_a_run_waits_for_its_person_and_goes_on_with_the_answer(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Reviewed) as desk:
        run = await desk.run("Reviewed")
        assert (run.state, run.owner) == ("waiting", "")
        assert run.question == Question(step="write#1", message="Is it good?", output={"text": "draft 1"}, outcomes=[])
        assert await desk.runner.work("run-1") is None
        assert await desk.store.answer("run-1", "yes")
        run = await desk.work()
        assert run.question == Question(
            step="confirm#1", message="Really?", output="Draft(text='draft 1') yes", outcomes=[]
        )
        assert await desk.store.answer("run-1", "really")
        run = await desk.work()
        assert (run.state, run.output) == ("succeeded", "Draft(text='draft 1') yes really ['yes'] 2")
        assert WORLD == {"write": 1, "use": 1, "confirm": 1, "told": 1}
        types = await desk.types()
        assert types.count("run.waiting") == 2
        assert "step.failed" not in types


async def test_an_answer_is_led_to_its_route_by_a_model_once(tmp_path: Path, server: ChatServer) -> None:
    server.script = say('{"outcome": "approved"}')
    async with desk_in(tmp_path, Routes, delay=at_once) as desk:
        run = await desk.run("Routes")
        assert run.question
        assert run.question.outcomes == ["approved", "rejected"]
        assert await desk.store.answer("run-1", "I like it")
        run = await desk.work()
        assert (run.state, run.output) == ("succeeded", "published text: I like it, approved")
        assert WORLD == {"write": 1, "publish": 2}
        assert len(server.asked) == 1


async def test_silence_takes_the_default_route(tmp_path: Path, server: ChatServer) -> None:
    async with desk_in(tmp_path, Routes) as desk:
        await desk.run("Routes")
        assert await desk.store.answer("run-1", "")
        assert (await desk.work()).output == "dropped"
        assert server.asked == []


async def test_two_branches_that_ask_each_get_their_own_answer(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Twice) as desk:
        run = await desk.run("Twice")
        answers = {}
        for _ in range(2):
            assert run.question
            answers[run.question.step] = f"to {run.question.step}"
            assert WORLD["more"] == 1, "a branch that asks nobody does not wait"
            await desk.store.answer("run-1", answers[run.question.step])
            run = await desk.work()
        assert (run.state, run.output) == ("succeeded", ["one to one#1", "two to two#1"])
        assert set(WORLD.values()) == {1}


async def test_an_answer_that_comes_at_once_is_kept_with_its_step(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Known, delay=at_once) as desk:
        run = await desk.run("Known")
        assert (run.state, run.output) == ("succeeded", "text: good enough")
        assert WORLD == {"told": 1, "use": 2}


class Ends(Flow[Desk]):
    """Nothing follows its question."""

    _skip_auto_memory = True

    @start()
    @human_feedback(message="Well?", emit=["approved", "rejected"], llm="routing", default_outcome="rejected")
    async def write(self) -> str:
        return "text"


async def test_a_flow_that_ends_with_a_question_ends_with_what_was_judged(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Ends) as desk:
        await desk.run("Ends")
        await desk.store.answer("run-1", "")
        assert (await desk.work()).output == "text"


async def test_a_run_that_waits_leaves_nothing_with_crewai(tmp_path: Path) -> None:
    async with desk_in(tmp_path, Reviewed) as desk:
        await desk.work(await desk.add("Reviewed", name="waits-alone"))
    assert default_flow_persistence().load_pending_feedback("waits-alone") is None
