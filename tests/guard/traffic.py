"""The bytes of one call: what a client sends, what an endpoint answers, and the tier map that joins the two.

Fixed in every byte, since a figure is only worth something beside the one of last week.
"""

import json
from collections.abc import Callable
from typing import Any

KEY = "guard-4f1d7c2b9a"
KEY_VARIABLE = "TIERGATE_GUARD_KEY"
MODEL = "Qwen/Qwen3-8B"
EVENTS = 64
"""Events with content in one stream."""
DONE = b"data: [DONE]\n\n"

_HEAD = "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 16:00:00 GMT\r\nserver: uvicorn\r\n"
_USAGE = {"prompt_tokens": 60, "completion_tokens": EVENTS, "total_tokens": 60 + EVENTS}
_QUESTION = "Why is the sky blue? " * 10
_ANSWER = "Because of Rayleigh scattering. " * 10


def tier_map(endpoint_url: str) -> dict[str, Any]:
    """One tier priced by tokens, with two budgets: the tier's and the key's. Nothing of it ever runs out."""
    return {
        "version": 1,
        "store": "embedded",
        "tiers": {
            "fast": {
                "model": MODEL,
                "price": {"input": 0.15, "output": 0.60},
                "endpoints": [{"url": endpoint_url}],
                "context": 32768,
                "slots": 10000,
            }
        },
        "budgets": [
            {"name": "fast-monthly", "owner": {"tier": "fast"}, "limit": "100000 USD", "window": "30d"},
            {"name": "per-key", "owner": {"key": "*"}, "limit": "900000M tokens", "window": "30d"},
        ],
        "keys": [{"name": "guard", "key": f"env:{KEY_VARIABLE}"}],
    }


def request(*, stream: bool) -> bytes:
    """What the client sends, head and body."""
    message = {"role": "user", "content": _QUESTION}
    call = {"model": "fast", "messages": [message], "max_tokens": EVENTS, **({"stream": True} if stream else {})}
    body = json.dumps(call).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"authorization: Bearer {KEY}\r\ncontent-type: application/json\r\nuser-agent: guard\r\n"
        f"x-tiergate-agent: writer\r\nx-tiergate-run: run-7\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def json_answer() -> bytes:
    """The endpoint's whole answer."""
    message = {"role": "assistant", "content": _ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
    body = json.dumps({**answer, "usage": _USAGE}).encode()
    return f"{_HEAD}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def stream_pieces() -> list[tuple[bytes, bytes]]:
    """The endpoint's stream, piece by piece, each with the bytes by which the client knows that it has come.

    The first carries the head, the last all that follows the content: finish reason, usage, end
    marker and the body's end.
    """
    head = f"{_HEAD}content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    pieces = []
    for number in range(EVENTS):
        word = f" word{number:02}"
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        pieces.append((_chunk([choice]), word.encode()))
    pieces[0] = (head + pieces[0][0], pieces[0][1])
    finish = _chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    end = finish + _chunk([], usage=_USAGE) + _in_http(DONE) + b"0\r\n\r\n"
    return [*pieces, (end, b"\r\n0\r\n\r\n")]


def is_whole(message: bytes) -> bool:
    """Whether a request or an answer with a ``content-length`` is there to its end."""
    head, gap, body = message.partition(b"\r\n\r\n")
    length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return bool(gap) and bool(length) and len(body) >= int(length)


def contains(mark: bytes) -> Callable[[bytes], bool]:
    """Whether the bytes so far hold ``mark``."""
    return lambda message: mark in message


def _chunk(choices: list[dict[str, Any]], **more: object) -> bytes:
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices}
    return _in_http(b"data: " + json.dumps({**event, **more}).encode() + b"\n\n")


def _in_http(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
