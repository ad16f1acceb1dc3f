"""What passes is tried again, later each time; what does not is not."""

import httpx
import openai
import pytest

from orchestrator.retries import ATTEMPTS_MAX, delay


def refusal(status: int, **headers: str) -> openai.APIStatusError:
    request = httpx.Request("POST", "http://gateway/v1/chat/completions")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return openai.APIStatusError("no", response=httpx.Response(status, headers=named, request=request), body=None)


def caused(error: Exception) -> RuntimeError:
    outer = RuntimeError("the step failed")
    outer.__cause__ = error
    return outer


def most() -> float:
    return 1.0


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_passing_refusal_is_tried_again_later_each_time(status: int) -> None:
    assert [delay(refusal(status), attempt, random=most) for attempt in (1, 2)] == [1.0, 2.0]
    assert delay(refusal(status), 1, random=lambda: 0.0) == 0.5
    assert delay(caused(refusal(status)), 1, random=most) == 1.0
    assert delay(refusal(status), ATTEMPTS_MAX, random=most) is None


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_a_refusal_that_stays_is_not(status: int) -> None:
    assert delay(refusal(status), 1, random=most) is None


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), TypeError("x"), RuntimeError("rate limit")])
def test_what_is_wrong_in_the_flow_itself_is_not(error: Exception) -> None:
    assert delay(error, 1, random=most) is None


def test_a_lost_connection_is_tried_again() -> None:
    assert delay(ConnectionError("gone"), 1, random=most) == 1.0


def test_the_gateway_knows_best_when_and_whether() -> None:
    assert delay(refusal(503, retry_after="7"), 1, random=most) == 8.0
    assert delay(refusal(503, retry_after="100000"), 1, random=lambda: 0.0) == 300.0
    assert delay(refusal(503, retry_after="soon"), 1, random=most) == 1.0
    assert delay(refusal(503, x_should_retry="false", retry_after="7"), 1, random=most) is None
