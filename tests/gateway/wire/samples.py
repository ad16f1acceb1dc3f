"""Bodies and streams of bytes for tests of the wire."""

import json
from collections.abc import Iterable
from typing import Any

from gateway.wire.call import Call, read_call
from gateway.wire.events import EventStream
from gateway.wire.operations import OPERATIONS, Dialect

CHAT = OPERATIONS["/v1/chat/completions"]
COMPLETIONS = OPERATIONS["/v1/completions"]
RESPONSES = OPERATIONS["/v1/responses"]
MESSAGES = OPERATIONS["/v1/messages"]
EMBEDDINGS = OPERATIONS["/v1/embeddings"]
TOKENIZE = OPERATIONS["/tokenize"]

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


def call(body: bytes | dict[str, Any]) -> Call:
    """The peeked body of a chat completion."""
    return read_call(body if isinstance(body, bytes) else json.dumps(body).encode(), CHAT)


def event(value: object) -> bytes:
    """One event with ``value`` as JSON."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(*deltas: dict[str, Any], finish: str | None = None, **fields: object) -> bytes:
    """One chat chunk with a choice per delta."""
    choices = [{"index": i, "delta": delta, "finish_reason": finish} for i, delta in enumerate(deltas)]
    return event({"object": "chat.completion.chunk", "choices": choices, **fields})


ROLE = chunk({"role": "assistant", "content": ""})
HELLO = chunk({"content": "Hello"})
STOP = chunk({}, finish="stop")
USAGE_CHUNK = event({"object": "chat.completion.chunk", "choices": [], "usage": USAGE})


def follow(
    pieces: Iterable[bytes], dialect: Dialect = Dialect.CHAT, *, wants_usage: bool = False
) -> tuple[bytes, EventStream]:
    """All that is sent on of a stream that ends well, and who followed it."""
    stream = EventStream(dialect, wants_usage=wants_usage)
    sent = b"".join([stream.feed(piece) for piece in pieces])
    return sent + stream.finish(), stream


def feed(*pieces: bytes, dialect: Dialect = Dialect.CHAT, wants_usage: bool = False) -> tuple[bytes, EventStream]:
    """What is sent on while the stream has not ended, and who follows it."""
    stream = EventStream(dialect, wants_usage=wants_usage)
    return b"".join([stream.feed(piece) for piece in pieces]), stream
