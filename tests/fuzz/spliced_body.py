"""The peek into a request's body and its splicing, against Python's own JSON reader.

What goes to the endpoint says the same as what came, but for the values that must change.
"""

import contextlib
import json

from gateway.errors import InvalidRequest
from gateway.wire.call import Call, read_call
from gateway.wire.operations import OPERATIONS
from gateway.wire.rewrite import upstream_body

MODEL = "org/the-model"
BOUND = 77
_OPERATIONS = tuple(OPERATIONS.values())
_CHANGED = {"model", "stream_options", "max_tokens", "max_output_tokens"}
Members = list[tuple[str, object]]


def spliced_body(data: bytes) -> None:
    """The first byte says which operation it is, and whether an answer's bound is to be set."""
    kind, body = (data[0] if data else 0), data[1:]
    operation = _OPERATIONS[kind % len(_OPERATIONS)]
    try:
        call = read_call(body, operation)
    except InvalidRequest:
        return
    bound = BOUND if kind & 128 and call.max_output is None else None
    before = members(body)
    names = [name for name, _ in before]
    try:
        after = members(upstream_body(call, operation, MODEL, answer_bound=bound))
    except InvalidRequest:
        assert any(names.count(name) > 1 for name in _CHANGED), "only what stands there twice is refused"
        return
    assert names.count("model") == 1, "which of two models is meant is not clear"
    _same_but(before, after, {"model": MODEL})
    assert dict(after)["model"] == MODEL
    assert dict(before)["model"] == call.model
    _read_right(call, dict(before))


def members(body: bytes) -> Members:
    """The members of the JSON object, each as often as it stands there. Numbers stay text: they may be too long."""
    found: list[Members] = []

    def keep(pairs: Members) -> Members:
        found.append(pairs)
        return pairs

    # Objects end from the inside to the outside: the last one is the whole.
    json.loads(body, object_pairs_hook=keep, parse_int=str, parse_float=str)
    return found[-1]


def _same_but(before: Members, after: Members, wanted: dict[str, object]) -> None:
    kept = after[: len(before)]
    for (name, value), (new_name, new_value) in zip(before, kept, strict=True):
        assert name == new_name
        assert name in _CHANGED or value == new_value
        assert name not in wanted or new_value == wanted[name]
    added = [name for name, _ in after[len(before) :]]
    assert set(added) <= _CHANGED
    assert len(added) == len(set(added))
    assert not set(added) & {name for name, _ in before}


def _read_right(call: Call, fields: dict[str, object]) -> None:
    """Of fields that stand there twice the last counts, as for every reader of JSON that endpoints use."""
    assert call.stream == (fields.get("stream") is True)
    bounds = [fields.get(name) for name in ("max_tokens", "max_completion_tokens", "max_output_tokens")]
    with contextlib.suppress(ValueError):  # longer than Python reads
        assert call.max_output == max((int(str(bound)) for bound in bounds if bound is not None), default=None)
