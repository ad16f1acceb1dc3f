"""One line for people out of whatever a Flow raised: what happened, and what to do about it."""

from collections.abc import Iterator

import openai
from crewai.utilities.exceptions.context_window_exceeding_exception import LLMContextLengthExceededError
from pydantic import ValidationError

from orchestrator.settings import current_settings

LINE_LENGTH_MAX = 600
"""Characters of a cause's line: long enough for the gateway's messages, too short for an answer's text."""

# By the HTTP status of the gateway's refusal: what to do. The gateway's own message says what happened.
_REMEDIES = {
    400: "Change the request that this step makes.",
    401: "Set TIERGATE_KEY to a key of the gateway's tier map.",
    402: "Wait for the budget's next window, or raise it in the tier map.",
    403: "Let the key use this tier in the tier map, or use another key.",
    404: "Name a tier, alias or model of the tier map.",
    413: "Make the prompt smaller.",
    429: "Run fewer Flows at once, or raise the limit.",
    502: "Look at the tier's endpoint and at the gateway's log.",
    503: "Try again later, or give the tier more slots or workers.",
    504: "Try again later, or raise the tier's timeouts in the tier map.",
}
# By its code, where the status alone would mislead.
_OF_RUNS = {
    "budget_exhausted": ("the run's budget is exhausted", "Start the run with a larger one."),
    "budget_too_small": ("the run's budget is exhausted", "Start the run with a larger one."),
    "run_deadline_passed": ("the run's deadline has passed", "Start the run with more time."),
}
_WHAT = {401: "key refused", 402: "budget exhausted", 403: "tier not allowed", 404: "model not found"}


def cause_line(error: BaseException) -> str:
    """What happened and what to do, on one line, from ``error`` and the exceptions that led to it."""
    for each in chain(error):
        line = _known(each)
        if line:
            return one_line(line)
    return one_line(f"{type(error).__name__}: {error}")


def one_line(text: str) -> str:
    """``text`` without line breaks, cut to ``LINE_LENGTH_MAX`` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= LINE_LENGTH_MAX else flat[: LINE_LENGTH_MAX - 1] + "…"


def _known(error: BaseException) -> str | None:
    line = None
    match error:
        case openai.APITimeoutError():
            line = f"the gateway at {_gateway()} did not answer in time. Look at its log and at the endpoint."
        case openai.APIConnectionError():
            line = (
                f"no connection to the gateway at {_gateway()}. Start it with 'tiergate-gateway serve', or "
                "give its address with --gateway or TIERGATE_URL."
            )
        case openai.APIStatusError():
            line = _refusal(error)
        case openai.APIError():
            line = f"the gateway ended the answer with an error: {_message(error)}"
        case openai.LengthFinishReasonError():
            line = "the answer reached max_tokens before it was complete. Raise max_tokens or ask for less."
        case LLMContextLengthExceededError():
            line = "the prompt does not fit the tier's context. Make it smaller, or use a larger tier."
        case ValidationError():
            line = f"an answer does not fit {error.title}: {error.errors()[0]['msg']}."
        case _:
            pass
    return line


def _refusal(error: openai.APIStatusError) -> str:
    status = error.status_code
    what = _WHAT.get(status, f"the gateway answered {status}")
    remedy = _REMEDIES.get(status, "Look at the gateway's log.")
    if (error.param or "").startswith("x-tiergate-run-"):
        what, remedy = _OF_RUNS.get(error.code or "", (what, remedy))
    request = error.response.headers.get("x-request-id")
    return f"{what}: {_message(error)} {remedy}" + (f" (request {request})" if request else "")


def _message(error: openai.APIError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    text = str(message or error.message)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _gateway() -> str:
    return current_settings().url


def chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and the exceptions that led to it, the latest first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
