"""The members of a JSON object, found in its bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.members import may_escape_letters, top_level_values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_every_member_is_found_with_its_value(value: dict[str, object], ascii_only: bool, indent: int | None) -> None:
    """However it is written: what is between start and stop is the value, and nothing inside of it is a member."""
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    found = {name: json.loads(body[start:stop]) for name, start, stop in top_level_values(body)}
    assert found == value


@pytest.mark.parametrize(
    ("body", "may"),
    [
        (b'{"model":"a"}', False),
        (b'{"a":"line\\nbreak"}', False),
        (b'{"a":"\\u00e4"}', False),
        (b'{"mod\\u0065l":1}', True),
    ],
)
def test_a_name_may_hide_behind_an_escape(body: bytes, may: bool) -> None:
    """Such as an e; an umlaut hides no name that the gateway looks for."""
    assert may_escape_letters(body) is may
