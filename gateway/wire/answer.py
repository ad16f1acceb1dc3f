"""A complete JSON answer, peeked at: whether it is one, and its usage."""

import msgspec

from gateway.wire.operations import Operation
from gateway.wire.usage import ReportedUsage, to_usage
from tiers.usage import Usage


class _Answer(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    results: msgspec.Raw = msgspec.Raw()
    tokens: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    input_tokens: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Answer).decode
_usage = msgspec.json.Decoder(ReportedUsage).decode
_NOTHING = (b"", b"null")


def is_answer(body: bytes, operation: Operation) -> tuple[bool, Usage | None]:
    """Whether ``body``, sent with status 200, is an answer to ``operation``, and the usage that it reports.

    Runpod's edge is known to send failures with status 200 and a body of its own; such a body has none of the
    operation's fields, or an ``error``.
    """
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False, None
    if bytes(answer.error) not in _NOTHING:
        return False, None
    if all(bytes(getattr(answer, field)) in _NOTHING for field in operation.expects):
        return False, None
    raw = bytes(answer.usage)
    if raw in _NOTHING:
        return True, None
    try:
        return True, to_usage(_usage(raw), operation.dialect)
    except msgspec.DecodeError:
        return True, None
