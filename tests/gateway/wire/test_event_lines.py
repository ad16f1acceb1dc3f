"""Where events end, and what their data is."""

import pytest

from gateway.wire.event_lines import BLANK_LINE, LongEvent, data_of, is_text


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x", b"x"),
        (b"data:x", b"x"),
        (b"data:  x", b" x"),
        (b"data:", b""),
        (b": comment", b""),
        (b"event: message\r\nid: 7\r\ndata: x", b"x"),
        (b"data: a\ndata:b\rdata: c", b"a\nb\nc"),
        (b"\xef\xbb\xbfdata: x", b"x"),
        (b"data: \xef\xbb\xbfx", b"\xef\xbb\xbfx"),
        (b"database: x", b""),
    ],
)
def test_data_is_read_as_whatwg_says(event: bytes, data: bytes) -> None:
    """One space after the colon does not count, several lines are joined, a BOM means nothing."""
    assert data_of(event) == data


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
def test_a_blank_line_ends_an_event_whatever_its_line_ends(end: bytes) -> None:
    """Also where it comes byte by byte, as the end of a long event."""
    assert BLANK_LINE.split(b"data: a" + end + b"data: b") == [b"data: a", end, b"data: b"]
    long = LongEvent(b"data: a")
    added = [long.add(bytes([byte])) for byte in end]
    assert added[-1]
    assert not any(added[:-1])
    assert long.whole() == b"data: a" + end
    assert long.size == len(long.whole())


def test_a_line_end_alone_ends_no_long_event() -> None:
    """Its data may have several lines."""
    long = LongEvent(b"data: a")
    assert not any([long.add(b"\n"), long.add(b"data: b\n"), long.add(b"data: c")])
    assert long.add(b"\n\ndata: d")


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", True), (b"plain", True), ("é語😀".encode(), True), (b"\xff", False), ("é".encode()[:1], False)],
)
def test_text_is_utf_8(data: bytes, text: bool) -> None:
    assert is_text(data) is text
