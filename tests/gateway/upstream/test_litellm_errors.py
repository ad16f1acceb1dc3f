"""What LiteLLM's SDK raises, translated."""

import json

import pytest

from gateway.errors import UpstreamAnswered, UpstreamFailed, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from gateway.upstream.litellm_errors import shown, translated
from gateway.upstream.whole_answer import WholeAnswer


class ProviderError(Exception):
    """As the SDK's errors: a message with names before the provider's words, a status, perhaps headers."""

    def __init__(self, status: int, message: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status
        self.litellm_response_headers = headers


class ContextWindowExceededError(ProviderError):
    """The SDK's word for a prompt that is too long."""


class APIConnectionError(ProviderError):
    """The SDK's word for a connection that failed."""


class ConnectError(Exception):
    """An HTTP client's word for a connection that could not be made."""


class ReadTimeout(Exception):
    """An HTTP client's word for silence."""


def outcome(error: Exception) -> WholeAnswer | UpstreamFailed:
    return translated(error, endpoint="overflow/0", api_key="sk-key", unix=0.0)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
async def test_what_the_caller_has_to_change_passes(status: int) -> None:
    told = outcome(ProviderError(status, "litellm.BadRequestError: OpenAIException - no such thing"))
    assert isinstance(told, WholeAnswer)
    assert (told.status, json.loads(await told.read(1000))) == (
        status,
        {"error": {"message": "no such thing", "type": "invalid_request_error", "param": None, "code": None}},
    )


async def test_a_prompt_that_is_too_long_is_known_as_such() -> None:
    """Whatever words its provider has for it, it may escalate."""
    told = outcome(ContextWindowExceededError(400, "too much"))
    assert isinstance(told, WholeAnswer)
    assert json.loads(await told.read(1000))["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("status", [401, 402, 403])
def test_what_the_operator_has_to_change_is_a_refusal_without_the_providers_words(status: int) -> None:
    """They like to repeat a part of the key."""
    told = outcome(ProviderError(status, "Incorrect API key provided: sk-key"))
    assert isinstance(told, UpstreamRefused)
    assert "sk-" not in told.message


@pytest.mark.parametrize(("status", "passed_on"), [(429, 503), (500, 500), (503, 503), (529, 529)])
def test_what_the_provider_has_to_change_is_its_own_status(status: int, passed_on: int) -> None:
    told = outcome(ProviderError(status, "busy", {"Retry-After": "7"}))
    assert isinstance(told, UpstreamAnswered)
    assert (told.status, told.retry_after_seconds, told.limited) == (passed_on, 7.0, status == 429)


def test_a_connection_that_could_not_be_made_has_cost_nothing() -> None:
    error = APIConnectionError(500, "Connection error.")
    error.__cause__ = ConnectError()
    assert isinstance(outcome(error), UpstreamUnreachable)


def test_one_that_broke_may_have() -> None:
    told = outcome(APIConnectionError(500, "Connection error."))
    assert type(told) is UpstreamFailed
    assert "APIConnectionError" in told.message


def test_silence_is_a_timeout() -> None:
    error = ProviderError(500)
    error.__context__ = ReadTimeout()
    assert isinstance(outcome(error), UpstreamTimeout)


def test_whatever_else_is_raised_is_a_failure() -> None:
    assert type(outcome(ValueError("odd"))) is UpstreamFailed


def test_no_text_holds_the_key() -> None:
    assert shown(ValueError("refused sk-key"), "sk-key") == "refused …"
    assert shown(ValueError("refused sk-key"), None) == "refused sk-key"


def test_the_providers_words_are_shown_without_the_sdks_names() -> None:
    error = ProviderError(429, "litellm.RateLimitError: RateLimitError: Together_aiException - come\nback: later")
    assert shown(error, None) == "come back: later"
