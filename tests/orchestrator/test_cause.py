"""One line that says what happened and what to do, for everything that a Flow may raise."""

from collections.abc import Iterator

import httpx
import openai
import pytest
from crewai.utilities.exceptions.context_window_exceeding_exception import LLMContextLengthExceededError
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ValidationError

from orchestrator.cause import LINE_LENGTH_MAX, cause_line
from orchestrator.settings import Secret, Settings, bind

REQUEST = httpx.Request("POST", "http://gateway/v1/chat/completions")


class Word(BaseModel):
    """What an answer should have been."""

    word: str


@pytest.fixture(autouse=True)
def gateway() -> Iterator[None]:
    with bind(Settings(url="http://gateway/v1", key=Secret("sk-1"))):
        yield


def refusal(status: int, body: object = None, headers: dict[str, str] | None = None) -> openai.APIStatusError:
    response = httpx.Response(status, request=REQUEST, headers=headers)
    return openai.APIStatusError(f"Error code: {status}", response=response, body=body)


def validation_error() -> ValidationError:
    with pytest.raises(ValidationError) as invalid:
        Word.model_validate({})
    return invalid.value


COMPLETION = ChatCompletion.model_validate(
    {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": []}
)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            refusal(402, {"message": "Budget daily is spent."}, {"x-request-id": "req-1"}),
            (
                "budget exhausted: Budget daily is spent. Wait for the budget's next window, or raise it in the "
                "tier map. (request req-1)"
            ),
        ),
        (
            refusal(402, {"message": "No.", "code": "budget_exhausted", "param": "x-tiergate-run-max-usd"}),
            "the run's budget is exhausted: No. Start the run with a larger one.",
        ),
        (
            refusal(403, {"message": "Late.", "code": "run_deadline_passed", "param": "x-tiergate-run-deadline"}),
            "the run's deadline has passed: Late. Start the run with more time.",
        ),
        (
            refusal(401, {"message": "Unknown key"}),
            "key refused: Unknown key. Set TIERGATE_KEY to a key of the gateway's tier map.",
        ),
        (
            refusal(503, {"message": "No slot."}),
            "the gateway answered 503: No slot. Try again later, or give the tier more slots or workers.",
        ),
        (refusal(418), "the gateway answered 418: Error code: 418. Look at the gateway's log."),
        (
            openai.APITimeoutError(REQUEST),
            "the gateway at http://gateway/v1 did not answer in time. Look at its log and at the endpoint.",
        ),
        (
            openai.APIConnectionError(request=REQUEST),
            (
                "no connection to the gateway at http://gateway/v1. Start it with 'tiergate-gateway serve', or "
                "give its address with --gateway or TIERGATE_URL."
            ),
        ),
        (
            openai.APIError("Endpoint gone", REQUEST, body=None),
            "the gateway ended the answer with an error: Endpoint gone.",
        ),
        (
            openai.LengthFinishReasonError(completion=COMPLETION),
            "the answer reached max_tokens before it was complete. Raise max_tokens or ask for less.",
        ),
        (
            LLMContextLengthExceededError("too long"),
            "the prompt does not fit the tier's context. Make it smaller, or use a larger tier.",
        ),
        (validation_error(), "an answer does not fit Word: Field required."),
        (RuntimeError("the oven\n  is cold"), "RuntimeError: the oven is cold"),
    ],
)
def test_each_failure_is_one_line(error: Exception, line: str) -> None:
    assert cause_line(error) == line


def test_the_cause_that_says_most_wins_over_its_wrapper() -> None:
    """CrewAI wraps a missing model into a ValueError and a lost connection into Python's own ConnectionError."""
    wrapped = ValueError("Model x not found: …")
    wrapped.__cause__ = refusal(404, {"message": "No tier named 'x'."})
    assert cause_line(wrapped) == "model not found: No tier named 'x'. Name a tier, alias or model of the tier map."


def test_a_circle_of_causes_ends() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert cause_line(first) == "RuntimeError: a"


def test_a_long_text_is_cut() -> None:
    line = cause_line(RuntimeError("x" * 5000))
    assert len(line) == LINE_LENGTH_MAX
    assert line.endswith("…")
