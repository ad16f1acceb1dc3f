"""LLM calls by tier and layer, with a real LLM on a real server."""

import pytest
from crewai.events.stream_context import add_stream_sink, reset_stream_sinks

from orchestrator.host import call_layers
from orchestrator.host.call_layers import CallLayers
from orchestrator.llm import tier
from orchestrator.quiet import silence_console
from tests.doubles.chat_server import Asked, ChatServer, Refusal


class Measured:
    """What was told."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []
        self.layers: list[tuple[str, str]] = []

    def call_ended(self, tier: str, outcome: str) -> None:
        """One more."""
        self.ended.append((tier, outcome))

    def call_layer(self, tier: str, layer: str, seconds: float) -> None:
        """One more."""
        assert 0 <= seconds < 60
        self.layers.append((tier, layer))


def refuse(_asked: Asked) -> Refusal:
    """A budget that is spent."""
    return Refusal(status=402, code="budget_exhausted", message="The budget is spent.")


@pytest.mark.usefixtures("settings")
def test_calls_are_counted_by_tier_and_streams_have_their_first_token(server: ChatServer) -> None:
    silence_console()
    measured = Measured()
    token = add_stream_sink(CallLayers(measured))
    try:
        tier("routing").call("Hello?")
        tier("reasoning", stream=True).call("Hello?")
        server.script = refuse
        with pytest.raises(Exception, match="budget"):
            tier("routing", max_retries=0).call("Hello?")
    finally:
        reset_stream_sinks(token)
    assert measured.ended == [("routing", "ok"), ("reasoning", "ok"), ("routing", "failed")]
    waits = ["queue", "hold", "worker", "tries"]
    assert measured.layers == [
        *(("routing", layer) for layer in ("whole", *waits)),
        *(("reasoning", layer) for layer in ("whole", *waits, "ttft", "generation")),
        *(("routing", layer) for layer in ("whole", *waits)),
    ]


def test_calls_whose_end_is_never_told_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_layers, "CALLS_MAX", 2)
    measured = Measured()
    layers = CallLayers(measured)
    for call in ("a", "b", "c"):
        layers._begin(call)
    layers._end("a", "routing", "ok")
    layers._end("c", "routing", "ok")
    assert [layer for layer in measured.layers if layer[1] == "whole"] == [("routing", "whole")]
