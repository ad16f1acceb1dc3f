"""The gateway's own reader of heads against httptools: what it accepts, both read as the same request."""

import httptools

from gateway.front.head import Head, HeadReader, parse_head
from gateway.front.rules import refuse_unclear


class Request:
    """One request as httptools reads it."""

    def __init__(self) -> None:
        self.target = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.completed = 0
        self.keep_alive = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, part: bytes) -> None:
        """Some of the target."""
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_body(self, part: bytes) -> None:
        """Some of the body."""
        self.body += part

    def on_headers_complete(self) -> None:
        """The end of its head."""
        self.keep_alive = self.parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """Its end."""
        self.completed += 1


def request_head(data: bytes) -> None:
    """A reader that has read the same head before reads it again in the same way."""
    head = parse_head(data)
    reader = HeadReader()
    for _ in range(2):
        _assert_same(reader.read(data), head)
    if head is None:
        return
    body = b"x" * head.content_length
    request = Request()
    parser = request.parser
    parser.feed_data(data[: head.size])
    parser.feed_data(body)
    assert (parser.get_method(), parser.get_http_version()) == (b"POST", "1.1")
    assert request.completed == 1
    assert request.target == head.request.operation.path.encode()
    assert request.headers == list(head.request.headers)
    assert request.body == body
    assert request.keep_alive == head.keep_alive
    refuse_unclear("1.1", request.target, request.headers, upgrade=parser.should_upgrade())
    longer = data.replace(b"ontent-length: ", b"ontent-length: 1", 1)
    _assert_same(reader.read(longer), parse_head(longer))


def _assert_same(one: Head | None, other: Head | None) -> None:
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert (one.content_length, one.size, one.keep_alive) == (other.content_length, other.size, other.keep_alive)
        # Values differ in the length only, which the reader does not look at again.
        assert [name for name, _ in one.request.headers] == [name for name, _ in other.request.headers]
