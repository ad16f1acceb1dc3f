"""CrewAI fills what a tier holds, and no more: the gateway tells how much that is."""

import httpx
import pytest

from orchestrator.llm import CONTEXT_TOKENS_DEFAULT, tier
from orchestrator.settings import Secret, Settings
from orchestrator.windows import Windows, ask_gateway
from tests.doubles.chat_server import ChatServer

GATEWAY = Settings(url="http://gateway/v1", key=Secret("k"))
TOLD = {
    "object": "list",
    "data": [
        {"id": "small", "tier": "small", "max_model_len": 2000, "context_window": 8000},
        {"id": "plain-vllm", "max_model_len": 4096},
        {"id": "auto", "tier": "auto"},
        {"id": "odd", "context_window": "large"},
        "noise",
    ],
}


class Gateways:
    """Answers of gateways, and who was asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[Settings] = []

    def __call__(self, settings: Settings) -> object:
        """The next answer, or failure."""
        self.asked.append(settings)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_the_gateway_is_asked_once_for_all_its_names() -> None:
    """What it does not tell is not known."""
    gateways = Gateways(TOLD)
    windows = Windows(gateways)
    found = [windows.of(GATEWAY, name) for name in ("small", "plain-vllm", "auto", "odd", "unheard-of")]
    assert found == [8000, 4096, None, None, None]
    assert gateways.asked == [GATEWAY]


@pytest.mark.parametrize("answer", [httpx.ConnectError("away"), ValueError("no JSON"), [], {"data": None}], ids=str)
def test_a_gateway_that_does_not_tell_is_not_asked_again(answer: object) -> None:
    """Calls are not to wait for it time and again."""
    gateways = Gateways(answer)
    windows = Windows(gateways)
    assert [windows.of(GATEWAY, "small"), windows.of(GATEWAY, "small")] == [None, None]
    assert len(gateways.asked) == 1


def test_what_the_warm_up_learned_is_not_asked_for() -> None:
    gateways = Gateways(httpx.ConnectError("away"))
    windows = Windows(gateways)
    windows.learn(GATEWAY, TOLD)
    assert windows.of(GATEWAY, "small") == 8000
    assert gateways.asked == []


def test_the_gateway_is_asked_with_the_key(server: ChatServer) -> None:
    server.models = {"data": [{"id": "small", "context_window": 8000}]}
    assert ask_gateway(Settings(url=server.url, key=Secret("sk-test-key"))) == server.models
    server.models_status = 401
    with pytest.raises(httpx.HTTPStatusError):
        ask_gateway(Settings(url=server.url, key=Secret("wrong")))


def test_crewai_is_told_what_it_may_fill(server: ChatServer, settings: Settings) -> None:
    """A part is left free, for the answer and for what CrewAI's rough count of tokens misses."""
    server.models = {"data": [{"id": "narrow", "context_window": 2000}, {"id": "wide", "context_window": 64_000}]}
    result = "one fact. " * 200
    assert (tier("narrow").get_context_window_size(), tier("wide").get_context_window_size()) == (1700, 54_400)
    assert tier("narrow").is_tool_result_overflowing_threshold(result)[0]
    assert not tier("wide").is_tool_result_overflowing_threshold(result)[0]
    assert tier("narrow", context=30_000).get_context_window_size() == 30_000, "who says so knows better"
    assert tier("unheard-of").get_context_window_size() == CONTEXT_TOKENS_DEFAULT
    assert settings.url == server.url
