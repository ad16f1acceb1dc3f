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

MESSAGES_STREAM = [
    b"event: message_start\n"
    + event({"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}),
    b"event: content_block_start\n" + event({"type": "content_block_start", "index": 0}),
    b"event: ping\n" + event({"type": "ping"}),
    b"event: content_block_delta\n"
    + event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello"}}),
    b"event: message_delta\n" + event({"type": "message_delta", "usage": {"output_tokens": 3}}),
    b"event: message_stop\n" + event({"type": "message_stop"}),
]
"""A whole answer of ``/v1/messages``."""


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


def read(stream: bytes) -> list[dict[str, Any]]:
    """The JSON events of a stream, as a client reads them (WHATWG HTML, 9.2.6)."""
    found = []
    data: list[str] = []
    for line in [*stream.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            if data != ["[DONE]"]:
                found.append(json.loads("\n".join(data)))
            data = []
    return found
