"""Events that differ in plain content alone are known as such; whatever is taken for one is one."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.wire.event_mould import MISSES_MAX, EventMould
from gateway.wire.events import EventStream
from gateway.wire.operations import Dialect

AROUND = b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n'
NAMED = (b"reasoning_content", b"reasoning", b"text")


def mould(*taken: bytes) -> EventMould:
    subject = EventMould()
    for event in taken:
        subject.take(event)
    return subject


@pytest.mark.parametrize("content", [b"", b" tok", b"a much longer one: {}[],:", b"\x7f", "é語".encode()])
@pytest.mark.parametrize(
    "around", [AROUND, AROUND.replace(b":", b": "), *(AROUND.replace(b"content", n) for n in NAMED)]
)
def test_another_plain_content_fits(around: bytes, content: bytes) -> None:
    assert mould(around % b"Hello").fits(around % content)


@pytest.mark.parametrize("content", [b'"', b"\\n", b"\\", b"\n", b"\t", b"\0", "é".encode()[:1], b'a","refusal":"b'])
def test_content_that_is_not_plain_does_not_fit(content: bytes) -> None:
    """It has to be looked at: it may end the string, or be no JSON at all."""
    assert not mould(AROUND % b"Hello").fits(AROUND % content)


@pytest.mark.parametrize(
    "other",
    [
        (AROUND % b"Hello").replace(b"null", b'"stop"'),
        (AROUND % b"Hello").replace(b"c1", b"c2"),
        (AROUND % b"Hello") * 2,
        (AROUND % b"Hello")[:-1],
        AROUND.partition(b"%b")[0],
        b"",
    ],
)
def test_an_event_of_another_form_does_not_fit(other: bytes) -> None:
    assert not mould(AROUND % b"Hello").fits(other)


def test_nothing_fits_before_an_event_was_taken() -> None:
    assert not mould().fits(AROUND % b"Hello")
    assert not mould(b'data: {"choices":[{"delta":{"refusal":"Hello"}}]}\n\n').fits(b"")


def test_a_stream_whose_events_are_never_alike_is_compared_no_more() -> None:
    """Until then, one that is alike starts the count anew."""
    events = [AROUND.replace(b"c1", b"c%d" % number) for number in range(MISSES_MAX + 1)]
    subject = mould(*[each % b"a" for each in events[:-1]])
    assert subject.fits(events[-2] % b"b")
    for each in events[:MISSES_MAX]:
        subject.take(each % b"a")
    assert subject.fits(events[MISSES_MAX - 1] % b"b")
    subject = mould(*[each % b"a" for each in events])
    assert not subject.fits(events[-1] % b"a")


NAMES = st.sampled_from(["content", 'x"content', "content\\", '"content":"', "refusal", 'a":"content', "text", ":"])
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5), NAMES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, VALUES, min_size=1), st.binary(max_size=6), st.sampled_from([":", ": "]))
@example({'x"content': "a", "content": "b"}, b"c", ":")
def test_what_fits_is_the_same_json_with_another_text(value: dict[str, object], content: bytes, colon: str) -> None:
    """Wherever in it the name stands, and whatever its neighbours are called."""
    first = b"data: " + json.dumps(value, separators=(",", colon)).encode() + b"\n\n"
    subject = mould(first)
    quotes = [at for at in range(len(first)) if first[at : at + 1] == b'"']
    for opening, closing in pairwise(quotes):
        other = first[: opening + 1] + content + first[closing:]
        if subject.fits(other):
            assert _shape(json.loads(other[6:])) == _shape(value)


def _shape(value: object) -> object:
    """All but texts; names are kept."""
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return "text" if isinstance(value, str) else value


def test_a_stream_counts_alike_whether_its_events_fit_or_not() -> None:
    """Each piece passes as it came; the count is the same as of events that are all decoded."""
    contents = [b"Hello", b" you", b"\\n", b" there", "é".encode(), b"", b"!"]

    def counted(events: list[bytes]) -> tuple[int, bytes]:
        stream = EventStream(Dialect.CHAT, wants_usage=True, prompt_bytes=40)
        assert [stream.feed(event) for event in events] == events
        end = stream.feed((AROUND % b"").replace(b"null", b'"stop"')) + stream.finish()
        return stream.counted_output(), end.partition(b"usage")[2]

    alike = [AROUND % content for content in contents]
    unlike = [event.replace(b"c1", b"%02d" % number) for number, event in enumerate(alike)]
    assert counted(alike) == counted(unlike)
