"""The body that goes to the endpoint: the caller's bytes with only those top-level values replaced that must change.

A value is replaced in place, and only where it is proven to be the top-level one; every other byte, unknown fields
and their order included, stays as the caller sent it.
"""

import re
from collections.abc import Iterator

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire.call import Call
from gateway.wire.operations import Dialect, Operation

_KEY_MODEL = b'"model"'
_MODEL_FIRST = re.compile(rb'\s*\{\s*"model"\s*:\s*("(?:[^"\\]|\\.)*")')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)
_SPACE = b" \t\r\n"
_INCLUDE_USAGE = b'"stream_options":{"include_usage":true}'


def upstream_body(call: Call, operation: Operation, model: str) -> bytes:
    """``call``'s body for an endpoint that serves the tier as ``model``.

    Streams of chat and text completions always ask the endpoint for usage (``stream_options.include_usage``), in one
    last chunk of its own and never in every chunk.

    Raises:
        InvalidRequest: ``model`` or ``stream_options`` stands in the body twice, so what is meant is not clear.
    """
    wanted: dict[str, bytes] = {}
    if call.model != model:
        wanted["model"] = msgspec.json.encode(model)
    if call.stream and operation.dialect in {Dialect.CHAT, Dialect.COMPLETION}:
        options = _usage_options(call)
        if options is not None:
            if not wanted and call.stream_options is None and b'"stream_options"' not in call.body:
                return _append(call.body, _INCLUDE_USAGE)
            wanted["stream_options"] = options
    if not wanted:
        return call.body
    return _replace(call.body, wanted)


def _usage_options(call: Call) -> bytes | None:
    """The value of ``stream_options`` to send, or ``None`` where the caller's own is right."""
    if call.stream_options is None:
        return b'{"include_usage":true}'
    options: dict[str, object] = msgspec.json.decode(call.stream_options)
    if options.get("include_usage") is True and not options.get("continuous_usage_stats"):
        return None
    options["include_usage"] = True
    # Usage in every chunk makes clients drop the content of that chunk (CrewAI does).
    if "continuous_usage_stats" in options:
        options["continuous_usage_stats"] = False
    return msgspec.json.encode(options)


def _replace(body: bytes, wanted: dict[str, bytes]) -> bytes:
    if len(wanted) <= 1 + (b'"stream_options"' not in body) and "model" in wanted:
        first = _MODEL_FIRST.match(body)
        # The usual shape: "model" comes first and its name stands nowhere else, so this is the top-level one.
        if first is not None and body.count(_KEY_MODEL) == 1 and b"\\u" not in body:
            body = body[: first.start(1)] + wanted["model"] + body[first.end(1) :]
            return _append(body, _INCLUDE_USAGE) if "stream_options" in wanted else body
    pieces = []
    end = 0
    missing = dict(wanted)
    for name, start, stop in top_level_values(body):
        if name not in wanted:
            continue
        if name not in missing:
            raise InvalidRequest(f'The body has "{name}" twice. Send it once.', param=name)
        pieces += [body[end:start], missing.pop(name)]
        end = stop
    pieces.append(body[end:])
    result = b"".join(pieces)
    for name, value in missing.items():
        result = _append(result, b'"%s":%s' % (name.encode(), value))
    return result


def _append(body: bytes, member: bytes) -> bytes:
    """``body``, a JSON object, with one more member at its end."""
    brace = body.rindex(b"}")
    empty = body[:brace].rstrip(_SPACE).endswith(b"{")
    return body[:brace] + (b"" if empty else b",") + member + body[brace:]


def top_level_values(body: bytes) -> Iterator[tuple[str, int, int]]:
    """Each member of the JSON object ``body``: its name and where its value starts and stops.

    ``body`` must be known to be a valid JSON object. Escaped names are unescaped.
    """
    depth = 0
    name: str | None = None
    start = 0
    for token in _TOKEN.finditer(body):
        mark = token[0]
        if mark in {b"{", b"["}:
            depth += 1
        elif mark in {b"}", b"]"}:
            depth -= 1
            if depth == 0 and name is not None:
                yield name, start, _trimmed(body, start, token.start())
        elif depth == 1:
            if mark == b":":
                start = _skip_space(body, token.end())
            elif mark == b",":
                if name is not None:
                    yield name, start, _trimmed(body, start, token.start())
                name = None
            elif name is None:
                name = msgspec.json.decode(mark, type=str)


def _skip_space(body: bytes, at: int) -> int:
    while body[at : at + 1] in {b" ", b"\t", b"\r", b"\n"}:
        at += 1
    return at


def _trimmed(body: bytes, start: int, stop: int) -> int:
    while stop > start and body[stop - 1 : stop] in {b" ", b"\t", b"\r", b"\n"}:
        stop -= 1
    return stop
