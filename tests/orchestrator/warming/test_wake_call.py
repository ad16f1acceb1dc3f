"""The call that announces tiers, to a real server."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.settings import Secret, Settings
from orchestrator.warming.wake_call import NotAnnounced, WakeCall
from tests.doubles.chat_server import ChatServer


@pytest.fixture
def call(settings: Settings) -> Iterator[WakeCall]:
    """A call of the server."""
    call = WakeCall(settings)
    yield call
    call.close()


def test_tiers_are_announced_with_the_run_and_the_key(server: ChatServer, call: WakeCall) -> None:
    keys: list[str] = []

    def hear(asked: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        keys.append(asked.headers["authorization"])
        states = ({"name": "a", "state": "woken"}, {"name": "b", "state": "refused", "message": "No such tier."})
        return 202, {"object": "list", "data": states}

    server.wake = hear
    assert call("run-7", ["a", "b"]) == {"b": "No such tier."}
    assert (server.announced, keys) == ([("run-7", ("a", "b"))], ["Bearer sk-test-key"])
    assert not server.asked


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(404, {}, "answers 404"), (503, {}, "answers 503"), (202, [], "no list of tiers"), (200, {}, "answers 200")],
)
def test_what_is_no_good_answer_says_why(
    server: ChatServer, call: WakeCall, status: int, body: object, reason: str
) -> None:
    server.wake = lambda _: (status, body)
    with pytest.raises(NotAnnounced, match=reason):
        call("run-7", ["a"])


def test_a_gateway_that_is_away_is_said_to_be() -> None:
    call = WakeCall(Settings(url="http://127.0.0.1:9/v1", key=Secret("sk")))
    with pytest.raises(NotAnnounced, match="ConnectError"):
        call("run-7", ["a"])
    call.close()


def test_what_was_never_used_is_closed_all_the_same(settings: Settings) -> None:
    WakeCall(settings).close()
