"""A complete JSON answer, peeked at: whether it is one, and its usage."""

from typing import Any, Final

import msgspec

from gateway.wire.operations import OPERATIONS, Operation
from gateway.wire.shapes import ReportedUsage
from gateway.wire.usage import to_usage
from tiers.usage import Usage

_ABSENT: Final = msgspec.Raw()
_NOTHING: Final = (b"", b"null")


def _decoder(field: str, usage: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - a type as a value
    """Decodes nothing but ``error``, ``usage`` and ``field``, in this order; the rest is only proven to be JSON."""
    raw = (field, msgspec.Raw, _ABSENT)
    return msgspec.json.Decoder(
        msgspec.defstruct("Answer", [("error", msgspec.Raw, _ABSENT), ("usage", usage, None), raw])
    )


_FIELDS = {operation.expects for operation in OPERATIONS.values()}
_WITH_USAGE: Final = {field: _decoder(field, ReportedUsage | None).decode for field in _FIELDS}
_WITHOUT_USAGE: Final = {field: _decoder(field, Any).decode for field in _FIELDS}
_fields: Final = msgspec.structs.astuple


def is_answer(body: bytes, operation: Operation) -> tuple[bool, Usage | None]:
    """Whether ``body``, sent with status 200, is an answer to ``operation``, and the usage that it reports.

    Runpod's edge is known to send failures with status 200 and a body of its own; such a body has none of the
    operation's fields, or an ``error``.
    """
    field = operation.expects
    try:
        error, usage, expected = _fields(_WITH_USAGE[field](body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            error, _, expected = _fields(_WITHOUT_USAGE[field](body))
            usage = None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False, None
    if error is not _ABSENT and bytes(error) not in _NOTHING:
        return False, None
    if bytes(expected) in _NOTHING:
        return False, None
    return True, to_usage(usage, operation.dialect) if usage is not None else None
