"""The same targets, fed by hypothesis with what has a form: mutations of the kept inputs, and any bytes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.front.head import parse_head
from gateway.wire.call import read_call
from gateway.wire.operations import OPERATIONS
from gateway.wire.rewrite import upstream_body
from tests.fuzz.spliced_body import MODEL, members
from tests.fuzz.targets import TARGETS, corpus

CHAT = OPERATIONS["/v1/chat/completions"]
EXAMPLES = 40
SLOW_EXAMPLES = 15
"""Of tier maps, which take a few milliseconds each."""


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_the_promises_hold(name: str) -> None:
    """A kept input with a piece of another one, or of anything, in place of some of it."""
    kept = st.sampled_from([path.read_bytes() for path in corpus(name)])

    @settings(max_examples=SLOW_EXAMPLES if name == "tier_map" else EXAMPLES, deadline=None)
    @given(first=kept, second=st.one_of(kept, st.binary(max_size=40)), cut=st.tuples(*[st.integers(0, 400)] * 3))
    def try_out(first: bytes, second: bytes, cut: tuple[int, int, int]) -> None:
        start, length, source = cut
        TARGETS[name](first[:start] + second[source % (len(second) + 1) :][:60] + first[start + length :])

    try_out()


@settings(deadline=None)
@given(
    fields=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])), st.lists
        ),
        max_size=4,
    ),
    at=st.integers(0, 4),
)
def test_only_the_model_changes(fields: dict[str, object], at: int) -> None:
    """Wherever it stands, whatever stands beside it."""
    asked = list((fields | {"messages": []}).items())
    asked.insert(at, ("model", "the one that was asked for"))
    body = json.dumps(dict(asked)).encode()
    try:
        call = read_call(body, CHAT)
    except InvalidRequest:  # one of the names means something and has another type
        return
    sent = dict(members(upstream_body(call, CHAT, MODEL)))
    assert sent.pop("model") == MODEL
    before = dict(members(body))
    assert {name: value for name, value in sent.items() if name != "stream_options"} == {
        name: value for name, value in before.items() if name not in {"model", "stream_options"}
    }


@given(
    names=st.lists(st.sampled_from([b"host", b"content-length", b"x-a", b"connection", b"authorization"]), max_size=6),
    value=st.sampled_from([b"a", b"2", b"close", b"", b"a\r\nx: y", b"\0"]),
)
def test_a_head_is_plain_only_if_each_name_stands_there_once(names: list[bytes], value: bytes) -> None:
    lines = b"".join(b"%b: %b\r\n" % (name, b"2" if name == b"content-length" else value) for name in names)
    head = parse_head(b"POST /v1/chat/completions HTTP/1.1\r\n" + lines + b"\r\n{}")
    if head is not None:
        found = [name for name, _ in head.request.headers]
        assert len(found) == len(set(found))
        assert {b"host", b"content-length"} <= set(found)
