"""An outline has every name of a body, and not what its messages say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.members import top_level_values
from gateway.wire.outline import Outline

MESSAGES = b'[{"role":"user","content":"say \\"model\\" [twice]"}]'


def outline(body: bytes) -> Outline:
    """Of a body whose last ``messages`` at the top is what counts, as for every reader."""
    found = [body[start:stop] for name, start, stop in top_level_values(body) if name == "messages"]
    return Outline(body, found[-1] if found and found[-1].startswith(b"[") else b"")


@pytest.mark.parametrize("between", [b":", b": ", b" :\r\n\t "])
def test_what_the_messages_say_is_left_out(between: bytes) -> None:
    """Every other byte is there, and knows its place."""
    body = b'{"model":"m","messages"' + between + MESSAGES + b',"stop":["model"]}'
    found = outline(body)
    assert found.text == body.replace(MESSAGES, b"")
    for mark in (b'"m"', b'"messages"', b'"stop"', b'["model"]'):
        assert body.startswith(mark, found.place(found.text.find(mark)))
    assert found.plain


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","input":"x"}',
        b'{"model":"m","messages":null}',
        b'{"model":"m","messages":{"a":1}}',
        b'{"model":"messages","prompt":"\\"messages\\":[1]"}',
        b'{"stop":["messages"],"messages":[1]}',
        b'{"x":{"messages":[2]},"messages":[1]}',
        b'{"mess\\u0061ges":[1],"messages":7}',
    ],
)
def test_a_body_without_messages_that_are_found_is_its_own_outline(body: bytes) -> None:
    """There is nothing to leave out, or something else stands before it."""
    found = outline(body)
    assert found.text == body
    assert found.place(len(body) - 1) == len(body) - 1


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (b'{"messages":["\\u0061"],"a":"\\n"}', True),
        (b'{"messages":["a"],"m\\u0061x":"\\u000a"}', False),
        (b'{"messages":["a"],"m":"\\u000a"}', True),
    ],
)
def test_a_letter_that_is_escaped_outside_of_the_messages_is_told(body: bytes, plain: bool) -> None:
    """A name may be hidden so; what the messages say hides none."""
    assert outline(body).plain is plain


@pytest.mark.parametrize(
    ("body", "names", "sure"),
    [
        (b'{"model":"a","messages":["m"]}', 2, True),
        (b'{"model":"a","messages":["m"],"max_tokens":1}', 2, False),
        (b'{"model":"a","messages":["m"],"stop":"m"}', 2, False),
        (b'{"model":"a","messages":["m"],"model":"b"}', 2, False),
        (b'{"model":"a","messages":["m"],"s\\u0061":1}', 2, False),
    ],
)
def test_as_many_names_as_are_expected_stand_there_once(body: bytes, names: int, sure: bool) -> None:
    """One more, or one that is hidden, and it is not sure."""
    found = outline(body)
    assert found.sure is False
    assert found.expect(names) is sure
    assert found.sure is sure


texts = st.sampled_from(['"messages"', '\\"messages\\":[1]', "model", '"', "\\", "[1]", ":", "a"])
members = st.recursive(
    st.none() | st.integers(0, 2) | texts | st.just([1]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.sampled_from(["messages", 'x"messages', "model"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(st.tuples(texts | st.sampled_from(["messages", 'x"messages', "model"]), members), max_size=5))
def test_no_name_of_the_body_is_left_out(pairs: list[tuple[str, object]]) -> None:
    """Whatever else is called messages, however often, and at whatever depth."""
    body = ("{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs) + "}").encode()
    found = outline(body)
    left_out = len(body) - len(found.text)
    at = next((i for i in range(len(found.text)) if found.place(i) != i), len(body))
    assert body == found.text[:at] + body[at : at + left_out] + found.text[at:]
    values = [(start, stop) for _, start, stop in top_level_values(body)]
    assert not left_out or any(start <= at and at + left_out <= stop for start, stop in values)
