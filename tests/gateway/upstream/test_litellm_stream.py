"""A stream of LiteLLM's SDK, as bytes."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.upstream.litellm_stream import DONE, LiteLlmStream
from tests.doubles.transport import Hang


class Piece:
    """One of the SDK's pieces."""

    def __init__(self, text: str) -> None:
        self._text = text

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """Its fields."""
        assert mode == "json"
        return {"choices": [{"index": 0, "delta": {"content": self._text}}]}


class Chat:
    """The SDK's stream of chat pieces; it knows whether the provider said that it was the end."""

    def __init__(self, *script: Piece | Exception | Hang, reason: str | None = "stop") -> None:
        self.received_finish_reason = reason
        self.closings = 0
        self._script = script

    async def __aiter__(self) -> AsyncIterator[Piece]:
        for step in self._script:
            if isinstance(step, Hang):
                await step.wait()
            elif isinstance(step, Exception):
                raise step
            else:
                yield step

    async def aclose(self) -> None:
        """Count it, and fail as connections may."""
        self.closings += 1
        raise ConnectionResetError


class Completions:
    """The SDK's stream of completions' pieces, which wraps the other."""

    def __init__(self, chat: Chat) -> None:
        self.completion_stream = chat

    def __aiter__(self) -> AsyncIterator[Piece]:
        return aiter(self.completion_stream)


class Plain:
    """A stream that knows nothing of its end, and cannot be closed."""

    async def __aiter__(self) -> AsyncIterator[Piece]:
        yield Piece("a")


def stream(pieces: Any, *, idle: float = 5.0) -> LiteLlmStream:  # noqa: ANN401 - of any of the classes above
    return LiteLlmStream(pieces, endpoint="overflow/0", api_key="sk-key", idle=idle)


async def test_each_piece_is_an_event_and_the_end_is_marked() -> None:
    told = stream(Chat(Piece("a"), Piece("b")))
    body = await told.read(10_000)
    events = body.split(b"\n\n")
    assert [json.loads(each[6:])["choices"][0]["delta"]["content"] for each in events[:2]] == ["a", "b"]
    assert body.endswith(DONE)
    assert (told.complete, await told.chunk(), told.status) == (True, b"", 200)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_stream_whose_provider_never_said_that_it_was_the_end_has_broken(wrapped: bool) -> None:
    """The SDK makes up an end; no ``[DONE]`` follows it here."""
    chat = Chat(Piece("a"), reason=None)
    told = stream(Completions(chat) if wrapped else chat)
    assert DONE not in await told.chunk()
    for _ in range(2):
        with pytest.raises(UpstreamFailed, match="ended before it was complete"):
            await told.chunk()
    assert not told.complete


async def test_whatever_the_sdk_raises_the_stream_has_broken() -> None:
    told = stream(Chat(Piece("a"), ValueError("bad sk-key")))
    with pytest.raises(UpstreamFailed, match=r"overflow/0 broke off: bad …"):
        await told.read(10_000)


async def test_silence_is_a_timeout() -> None:
    told = stream(Chat(Hang()))
    told.hurry(0.01)
    with pytest.raises(UpstreamTimeout, match="timeout idle"):
        await told.chunk()


async def test_whoever_pumps_may_stop() -> None:
    told = stream(Plain())
    pieces: list[bytes] = []
    await told.pump(lambda piece: bool(pieces.append(piece)))  # type: ignore[func-returns-value]
    await told.pump(lambda piece: not pieces.append(piece))  # type: ignore[func-returns-value]
    assert pieces[1:] == [DONE]


async def test_more_than_the_reader_wants_is_a_failure() -> None:
    with pytest.raises(UpstreamFailed, match="more than 10 bytes"):
        await stream(Plain()).read(10)


async def test_leaving_closes_the_providers_connection_once_and_never_fails() -> None:
    chat = Chat(Hang())
    told = stream(Completions(chat))
    reading = asyncio.ensure_future(told.chunk())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await told.aclose()
    await told.aclose()
    await stream(Plain()).aclose()
    assert chat.closings == 1
