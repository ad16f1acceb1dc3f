"""``gateway.front.head``: what is plain, and that every reader of HTTP reads it in the same way."""

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.front.head import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    UNLIKE_BETWEEN,
    UNLIKE_MAX,
    Head,
    HeadReader,
    parse_head,
)
from gateway.wire.headers import Header
from gateway.wire.operations import OPERATIONS

LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"
PLAIN = b"host: gateway\r\ncontent-length: 5\r\n"


class Reading:
    """What httptools reads of a request; it leaves the white space after a value in place."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[Header] = []
        self.url = b""
        self.body = b""
        self.requests = 0
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.method = parser.get_method()
        self.version = parser.get_http_version()
        self.keep_alive = parser.should_keep_alive()

    def on_url(self, url: bytes) -> None:
        """Called by httptools."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools."""
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_body(self, body: bytes) -> None:
        """Called by httptools."""
        self.body += body

    def on_message_complete(self) -> None:
        """Called by httptools."""
        self.requests += 1


def test_a_plain_head_is_read_whole() -> None:
    """Names in lower case, values without white space around them, and where the body begins."""
    data = LINE + b"Host: gateway:80\r\nContent-Type:application/json\r\nX-Empty:\r\nCONTENT-LENGTH: \t5 \r\n\r\nhello"
    head = parse_head(data)
    assert head is not None
    assert head.request.operation is OPERATIONS["/v1/chat/completions"]
    assert head.request.headers == [
        (b"host", b"gateway:80"),
        (b"content-type", b"application/json"),
        (b"x-empty", b""),
        (b"content-length", b"5"),
    ]
    assert (head.content_length, head.keep_alive, data[head.size :]) == (5, True, b"hello")


@pytest.mark.parametrize("path", OPERATIONS)
def test_every_operation_has_its_path(path: str) -> None:
    head = parse_head(b"POST " + path.encode() + b" HTTP/1.1\r\n" + PLAIN + b"\r\n")
    assert head is not None
    assert head.request.operation is OPERATIONS[path]


@pytest.mark.parametrize(
    ("value", "keep_alive"), [(b"close", False), (b"Close", False), (b"keep-alive", True), (b"Keep-Alive", True)]
)
def test_the_client_says_whether_the_connection_stays(value: bytes, keep_alive: bool) -> None:
    head = parse_head(LINE + PLAIN + b"connection: " + value + b"\r\n\r\n")
    assert head is not None
    assert head.keep_alive is keep_alive


NOT_PLAIN = {
    "empty": b"",
    "only an end": b"\r\n\r\n",
    "line break first": b"\r\n" + LINE + PLAIN + b"\r\n",
    "incomplete": LINE + PLAIN,
    "no headers": LINE + b"\r\n",
    "other method": b"GET /v1/chat/completions HTTP/1.1\r\n" + PLAIN + b"\r\n",
    "method in lower case": b"post /v1/chat/completions HTTP/1.1\r\n" + PLAIN + b"\r\n",
    "other path": b"POST /v1/models HTTP/1.1\r\n" + PLAIN + b"\r\n",
    "query": b"POST /v1/chat/completions?a=b HTTP/1.1\r\n" + PLAIN + b"\r\n",
    "percent": b"POST /v1/chat%2Fcompletions HTTP/1.1\r\n" + PLAIN + b"\r\n",
    "absolute form": b"POST http://gateway/v1/chat/completions HTTP/1.1\r\n" + PLAIN + b"\r\n",
    "HTTP/1.0": b"POST /v1/chat/completions HTTP/1.0\r\n" + PLAIN + b"\r\n",
    "HTTP/0.9": b"POST /v1/chat/completions\r\n" + PLAIN + b"\r\n",
    "two spaces": b"POST  /v1/chat/completions HTTP/1.1\r\n" + PLAIN + b"\r\n",
    "space after the line": b"POST /v1/chat/completions HTTP/1.1 \r\n" + PLAIN + b"\r\n",
    "bare LF after the line": b"POST /v1/chat/completions HTTP/1.1\n" + PLAIN + b"\r\n",
    "bare LF": LINE + b"host: gateway\ncontent-length: 5\r\n\r\n",
    "bare LF at the end": LINE + b"host: gateway\r\ncontent-length: 5\n\n",
    "bare CR in a value": LINE + PLAIN + b"x: a\rb\r\n\r\n",
    "bare CR before the break": LINE + PLAIN + b"x: a\r\r\n\r\n",
    "NUL": LINE + PLAIN + b"x: a\0b\r\n\r\n",
    "control character": LINE + PLAIN + b"x: a\x01b\r\n\r\n",
    "DEL": LINE + PLAIN + b"x: a\x7fb\r\n\r\n",
    "fold": LINE + PLAIN + b"x: a\r\n b\r\n\r\n",
    "fold with a tab and a colon": LINE + PLAIN + b"x: a\r\n\tb: c\r\n\r\n",
    "fold first": LINE + b" x: a\r\n" + PLAIN + b"\r\n",
    "no colon": LINE + PLAIN + b"x\r\n\r\n",
    "no name": LINE + PLAIN + b": a\r\n\r\n",
    "space before the colon": LINE + b"host: gateway\r\ncontent-length : 5\r\n\r\n",
    "space in a name": LINE + PLAIN + b"x y: a\r\n\r\n",
    "name beyond ASCII": LINE + PLAIN + b"x\xe9: a\r\n\r\n",
    "parenthesis in a name": LINE + PLAIN + b"x(y): a\r\n\r\n",
    "no host": LINE + b"content-length: 5\r\n\r\n",
    "empty host": LINE + b"host: \r\ncontent-length: 5\r\n\r\n",
    "two hosts": LINE + PLAIN + b"host: gateway\r\n\r\n",
    "any header twice": LINE + PLAIN + b"x-a: 1\r\nX-A: 1\r\n\r\n",
    "no length": LINE + b"host: gateway\r\n\r\n",
    "two lengths": LINE + PLAIN + b"content-length: 6\r\n\r\n",
    "the same length twice": LINE + PLAIN + b"Content-Length: 5\r\n\r\n",
    "list of lengths": LINE + b"host: gateway\r\ncontent-length: 5, 5\r\n\r\n",
    "length with a sign": LINE + b"host: gateway\r\ncontent-length: +5\r\n\r\n",
    "negative length": LINE + b"host: gateway\r\ncontent-length: -5\r\n\r\n",
    "length in hexadecimal": LINE + b"host: gateway\r\ncontent-length: 0x5\r\n\r\n",
    "length with an underline": LINE + b"host: gateway\r\ncontent-length: 1_0\r\n\r\n",
    "length in Arabic digits": LINE + b"host: gateway\r\ncontent-length: " + b"\xd9\xa5" + b"\r\n\r\n",
    "length of many digits": LINE + b"host: gateway\r\ncontent-length: " + b"0" * 7 + b"5\r\n\r\n",
    "empty length": LINE + b"host: gateway\r\ncontent-length:\r\n\r\n",
    "large body": LINE + b"host: gateway\r\ncontent-length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1),
    "chunked": LINE + b"host: gateway\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunked and a length": LINE + PLAIN + b"transfer-encoding: chunked\r\n\r\n",
    "unknown encoding": LINE + PLAIN + b"Transfer-Encoding: xchunked\r\n\r\n",
    "expect": LINE + PLAIN + b"expect: 100-continue\r\n\r\n",
    "upgrade": LINE + PLAIN + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "upgrade without its option": LINE + PLAIN + b"upgrade: h2c\r\n\r\n",
    "trailer": LINE + PLAIN + b"trailer: x\r\n\r\n",
    "options": LINE + PLAIN + b"connection: keep-alive, x\r\n\r\n",
    "empty connection": LINE + PLAIN + b"connection:\r\n\r\n",
    "large head": LINE + PLAIN + b"x: " + b"a" * HEAD_BYTES_MAX + b"\r\n\r\n",
}


@pytest.mark.parametrize("data", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_what_is_not_plain_is_left_to_uvicorn(data: bytes) -> None:
    assert parse_head(data) is None


def test_the_bounds_themselves_are_plain() -> None:
    start = LINE + b"host: gateway\r\ncontent-length: %d\r\nx: " % BODY_BYTES_MAX
    data = start + b"a" * (HEAD_BYTES_MAX - len(start) - 4) + b"\r\n\r\n"
    head = parse_head(data)
    assert head is not None
    assert (head.size, head.content_length) == (HEAD_BYTES_MAX, BODY_BYTES_MAX)
    assert parse_head(start + b"a" * (HEAD_BYTES_MAX - len(start) - 3) + b"\r\n\r\n") is None


PIECES = st.sampled_from([
    b"host", b"Host", b"content-length", b"Content-Length", b"transfer-encoding", b"connection", b"upgrade", b"x",
    b"x-a", b"expect", b":", b": ", b" :", b" ", b"\t", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b"chunked", b"close",
    b"keep-alive", b"a", b"0", b"5", b"05", b"+5", b"5,5", b"\xe9", b"\x0b", b"\x1f", b"\x7f", b"(", b'"', b",", b";",
])  # fmt: skip
"""What heads are made of, good and bad."""


@given(st.lists(PIECES, max_size=14).map(b"".join), st.booleans())
@example(b"x: a\xe9\tb", True)
@example(b"content-length:\t5\t", False)
def test_what_is_accepted_every_reader_reads_alike(middle: bytes, plain: bool) -> None:
    """Whatever comes nothing is raised; what is accepted httptools reads as the same one request."""
    data = LINE + (PLAIN if plain else b"host: a\r\n") + middle + b"\r\n\r\n"
    head = parse_head(data)
    if head is None:
        return
    body = data[head.size :] + b"b" * head.content_length
    reading = Reading(data[: head.size] + body[: head.content_length])
    assert (reading.method, reading.url, reading.version) == (b"POST", b"/v1/chat/completions", "1.1")
    assert reading.headers == head.request.headers
    assert reading.body == body[: head.content_length]
    assert reading.requests == 1
    assert reading.keep_alive is head.keep_alive


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    parse_head(data)
    parse_head(LINE + data + b"\r\n\r\n")


def shown(head: Head | None) -> object:
    """All that was read."""
    if head is None:
        return None
    return head.request.operation, head.request.headers[:], head.content_length, head.size, head.keep_alive


def test_a_head_that_comes_again_is_not_taken_apart_again() -> None:
    """Only its body's length may be another."""
    reader = HeadReader()
    data = LINE + b"Host: a\r\nContent-Length: %d\r\nAuthorization: Bearer k\r\n\r\n"
    first, again, other = (reader.read(data % length) for length in (5, 17, BODY_BYTES_MAX))
    assert first is not None
    assert again is not None
    assert other is not None
    assert again.request is first.request is other.request
    assert [one.content_length for one in (first, again, other)] == [5, 17, BODY_BYTES_MAX]
    assert [one.size for one in (first, again, other)] == [len(data % length) for length in (5, 17, BODY_BYTES_MAX)]
    assert reader.read(data % (BODY_BYTES_MAX + 1)) is None


def test_heads_that_never_come_again_are_not_kept_but_now_and_then() -> None:
    """A client that repeats itself from some moment on is recognised soon."""
    reader = HeadReader()
    data = LINE + PLAIN + b"traceparent: %d\r\n\r\n"

    def requests(*traces: int) -> list[object]:
        heads = [reader.read(data % trace) for trace in traces]
        return [head.request for head in heads if head is not None]

    first, again = requests(1, 1)
    assert first is again
    assert len(set(requests(*range(2, 2 + UNLIKE_MAX)))) == UNLIKE_MAX
    other, unknown = requests(50, 50)
    assert other is not unknown
    *_, known, at_last = requests(*[50] * UNLIKE_BETWEEN)
    assert known is at_last
    assert len(set(requests(*[50] * 10, 51, 51, 52, 52))) == 3


@given(st.lists(PIECES, max_size=8).map(b"".join), st.lists(PIECES, max_size=4).map(b"".join), st.integers(0, 80))
def test_what_came_before_changes_nothing(middle: bytes, change: bytes, at: int) -> None:
    """The second of two heads, however alike, is read as if it were the first."""
    reader = HeadReader()
    first = LINE + PLAIN + middle + b"\r\n\r\n"
    reader.read(first)
    second = first[:at] + change + first[at:]
    head, alone = reader.read(second), parse_head(second)
    assert head is None or alone is not None
    if head is not None and alone is not None:
        length = (b"content-length", b"%d" % alone.content_length)
        same = [length if name == b"content-length" else (name, value) for name, value in head.request.headers]
        lengths = [length if name == b"content-length" else (name, value) for name, value in alone.request.headers]
        assert same == lengths
        assert shown(head)[2:] == shown(alone)[2:]  # type: ignore[index]
