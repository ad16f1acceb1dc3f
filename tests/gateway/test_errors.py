"""Every way to fail: what the client is told, and in which words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway
from gateway import errors
from gateway.errors import GatewayError, UpstreamAnswered
from gateway.wire.envelope import error_body

TRIGGERS = (
    *("rate limit", "rate-limit", "too many requests", "throttled", "resource exhausted"),
    *("too many tokens", "context length exceeded", "context_length_exceeded", "maximum context length"),
    *("context window full", "input is too long", "exceeds token limit", "expected a string with maximum length"),
)
"""Words by which CrewAI 1.15 takes an error for one to repeat, or for a prompt to shorten."""

NAMES = {"throttled", "context_length_exceeded"}
"""Runpod's word for workers that find no GPU, a field of its answers and a state of ours; and OpenAI's code of a
refusal, for a provider's that LiteLLM has given a class of its own. Never a message."""
OUTCOMES = {
    *("ok", "client_error", "unauthorized", "budget_exhausted", "rate_limited", "shed", "upstream_error", "timeout"),
    "disconnected",
}
ROW = re.compile(r"[├└]── (\w+)\s+(\d+|its)\s+(\w+)\s+(\w+)$", re.MULTILINE)


def every_class() -> list[type[GatewayError]]:
    found = [GatewayError]
    for kind in found:
        found += kind.__subclasses__()
    return found


def made(kind: type[GatewayError], message: str) -> GatewayError:
    return UpstreamAnswered(message, status=500) if kind is UpstreamAnswered else kind(message)


def test_the_tree_at_the_top_of_the_module_is_true() -> None:
    """Every class, with its status, code and outcome."""
    assert errors.__doc__ is not None
    drawn = {name: (status, code, outcome) for name, status, code, outcome in ROW.findall(errors.__doc__)}
    real = {
        kind.__name__: ("its" if kind is UpstreamAnswered else str(kind.status), kind.code, kind.outcome)
        for kind in every_class()
        if kind is not GatewayError
    }
    assert drawn == real


@pytest.mark.parametrize("kind", every_class(), ids=lambda kind: kind.__name__)
def test_every_class_has_words_that_metrics_and_clients_know(kind: type[GatewayError]) -> None:
    """A bounded outcome, a stable code of its own, and a sentence about itself."""
    assert kind.outcome in OUTCOMES
    assert re.fullmatch(r"[a-z_]+", kind.code)
    assert [other.code for other in every_class()].count(kind.code) == 1
    assert kind.__doc__


@pytest.mark.parametrize("kind", every_class(), ids=lambda kind: kind.__name__)
def test_429_is_never_sent(kind: type[GatewayError]) -> None:
    """CrewAI would turn one into 27 requests."""
    assert made(kind, "x").status != 429
    assert UpstreamAnswered("x", status=429).status == 503
    assert UpstreamAnswered("x", status=529).status == 529


def test_pointless_retries_are_refused_and_others_are_not() -> None:
    """A client that changes nothing gets the same again, but for what passes by itself."""
    assert {kind.__name__ for kind in every_class() if kind.retry} == {
        *("GatewayError", "TierSaturated", "TierCold", "StoreUnavailable", "UpstreamFailed", "UpstreamUnreachable"),
        *("UpstreamAnswered", "UpstreamTimeout", "ClientDisconnected", "GatewayFull", "EndpointsUnavailable"),
        *("RateLimited", "ConcurrencyLimited"),
    }


@given(
    kind=st.sampled_from(every_class()),
    words=st.lists(st.one_of(st.sampled_from(TRIGGERS), st.text(max_size=8)), max_size=6),
    loud=st.booleans(),
)
def test_no_message_holds_a_word_that_crewai_would_act_on(
    kind: type[GatewayError], words: list[str], loud: bool
) -> None:
    """Whatever an endpoint said and a message repeats."""
    said = " ".join(words)
    error = made(kind, f"The endpoint answered: {said.upper() if loud else said}.")
    for text in (error.message, str(error), error_body(error).decode()):
        assert not [trigger for trigger in TRIGGERS if trigger in text.lower()]


def test_other_words_stay() -> None:
    """Only those are changed, and the sense is kept."""
    assert GatewayError("Rate limit reached: Too Many Requests.").message == (
        "limit of requests reached: more requests than allowed."
    )
    assert GatewayError("Out of memory.").message == "Out of memory."


def texts(path: Path) -> Iterator[str]:
    """Every text in a module but its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def test_the_gateways_own_messages_need_no_other_words() -> None:
    """They are written without these."""
    folder = Path(gateway.__file__).parent
    modules = [path for path in folder.rglob("*.py") if path != Path(errors.__file__)]
    assert len(modules) > 30
    found = [
        (path.name, text)
        for path in modules
        for text in texts(path)
        if text not in NAMES and any(trigger in text.lower() for trigger in TRIGGERS)
    ]
    assert found == []
