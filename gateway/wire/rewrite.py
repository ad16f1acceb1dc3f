"""The body that goes to the endpoint: the caller's bytes with only those top-level values replaced that must change.

A value is replaced in place, and only where it is proven to be the top-level one; every other byte, unknown fields
and their order included, stays as the caller sent it.
"""

import re
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire.call import Call
from gateway.wire.members import STRING, top_level_values
from gateway.wire.operations import Operation
from gateway.wire.outline import Outline

_encoded: Final = msgspec.json.Encoder().encode
_KEY_MODEL: Final = b'"model"'
_OPENING: Final = b'{"model"'
_BETWEEN: Final = (b": ", b":")
"""What nearly always stands between a name and its value: as the SDKs of OpenAI and others write JSON."""
_MEMBER_MODEL: Final = re.compile(rb'"model"\s*:\s*(' + STRING + rb")", re.DOTALL)
_SPACE: Final = b" \t\r\n"
_REPLACED = ("model", "stream_options", "max_tokens", "max_output_tokens")


def upstream_body(call: Call, operation: Operation, model: str, *, answer_bound: int | None = None) -> bytes:
    """``call``'s body for an endpoint that serves the tier as ``model``.

    ``answer_bound`` is set in the operation's own field, for a caller that set none. Streams of chat and text
    completions always ask the endpoint for usage (``stream_options.include_usage``), in one last chunk of its own and
    never in every chunk.

    Raises:
        InvalidRequest: ``model`` or another of these fields stands in the body twice, so what is meant is not clear.
    """
    body = call.body
    wanted = _wanted(call, operation, answer_bound)
    new_model = _encoded(model) if call.model != model else None
    if _stand_once(call.outline, wanted):
        if new_model is None:
            return _append(body, wanted)
        start, stop = _model_in(body, _place_of_model(body, call.outline), call.model)
        if stop:
            return _append(b"".join((body[:start], new_model, body[stop:])), wanted)
    if new_model is not None:
        wanted["model"] = new_model
    return _replace(body, wanted)


def _wanted(call: Call, operation: Operation, answer_bound: int | None) -> dict[str, bytes]:
    """What to set in the body beside the model."""
    wanted: dict[str, bytes] = {}
    if call.stream and operation.counts_in_stream:
        options = _usage_options(call)
        if options is not None:
            wanted["stream_options"] = options
    if answer_bound is not None and operation.bound_field is not None:
        wanted[operation.bound_field] = str(answer_bound).encode()
    return wanted


def _stand_once(outline: Outline, wanted: dict[str, bytes]) -> bool:
    """Whether ``model`` stands once where names can, and the other names nowhere: then that one is the top-level one.

    ``find`` and not ``in``, which takes three times as long for bytes.
    """
    text = outline.text
    if not outline.sure and (not outline.plain or text.count(_KEY_MODEL) != 1):
        return False
    for name in wanted:  # noqa: SIM110 - as a generator expression it costs several times as much
        if text.find(b'"%b"' % name.encode()) >= 0:
            return False
    return True


def _place_of_model(body: bytes, outline: Outline) -> int:
    return 1 if body.startswith(_OPENING) else outline.place(outline.text.find(_KEY_MODEL))


def _model_in(body: bytes, at: int, model: str) -> tuple[int, int]:
    """Where the value of the member ``model``, whose name stands ``at``, starts and stops; two zeros if it does not."""
    after = at + len(_KEY_MODEL)
    # Where this stands there it is the value: had the name a mark that JSON escapes, the body would have it escaped.
    value = b'"' + model.encode() + b'"'
    for between in _BETWEEN:
        start = after + len(between)
        stop = start + len(value)
        if body[after:start] == between and body[start:stop] == value:
            return start, stop
    member = _MEMBER_MODEL.match(body, at)
    return member.span(1) if member is not None else (0, 0)


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
    pieces = []
    end = 0
    seen: set[str] = set()
    for name, start, stop in top_level_values(body):
        if name not in _REPLACED:
            continue
        if name in seen:
            raise InvalidRequest(f'The body has "{name}" twice. Send it once.', param=name)
        seen.add(name)
        if name in wanted:
            pieces += [body[end:start], wanted[name]]
            end = stop
    pieces.append(body[end:])
    result = b"".join(pieces)
    return _append(result, {name: value for name, value in wanted.items() if name not in seen})


def _append(body: bytes, members: dict[str, bytes]) -> bytes:
    """``body``, a JSON object, with more members at its end."""
    if not members:
        return body
    brace = body.rindex(b"}")
    empty = body[:brace].rstrip(_SPACE).endswith(b"{")
    added = b",".join(b'"%s":%s' % (name.encode(), value) for name, value in members.items())
    return body[:brace] + (b"" if empty else b",") + added + body[brace:]
