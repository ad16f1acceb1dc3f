"""Headers as an endpoint gets them."""

import pytest

from gateway.wire.header_lines import HeaderLines


def test_headers_become_lines() -> None:
    """In their order; those of a connection, and those that it names, are left out."""
    fields = [(b"accept", b"*/*"), (b"connection", b"X-Hop"), (b"x-hop", b"1"), (b"te", b"x"), (b"x-end", b"2")]
    assert HeaderLines(fields).text() == b"accept: */*\r\nx-end: 2\r\n"


def test_lines_are_written_once() -> None:
    """One object serves many requests."""
    lines = HeaderLines([(b"accept", b"*/*")])
    assert lines.text() is lines.text()


@pytest.mark.parametrize(
    ("field", "text"),
    [((b"x", b"sk-canary\r\ny: z"), "line break or NUL in the value of header x"), ((b"X", b"sk-canary"), "name")],
)
def test_what_would_be_read_as_something_else_is_refused_each_time(field: tuple[bytes, bytes], text: str) -> None:
    """Without its value in the message."""
    lines = HeaderLines([field])
    for _ in range(2):
        with pytest.raises(ValueError, match=text) as caught:
            lines.text()
        assert "canary" not in str(caught.value)
