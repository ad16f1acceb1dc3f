"""One HTTP answer, read as its bytes come; just enough of HTTP for what the gateway sends."""

_MARK = b"data: "
_DONE = b"[DONE]"
_LAST_CHUNK = b"0\r\n\r\n"


class Answer:
    """What is known of one answer so far.

    Attributes:
        status: The status code; 0 until the head is complete.
        stream: Whether its body is a stream of events.
        events: Events that have begun to arrive.
        whole: Whether it ended as it should; a stream with its end marker, and never before it.
    """

    __slots__ = ("_head", "_left", "_marked", "_tail", "events", "status", "stream", "whole")

    def __init__(self) -> None:
        self.status = self.events = self._left = 0
        self.stream = self.whole = self._marked = False
        self._head: bytes | None = b""
        self._tail = b""

    def feed(self, data: bytes) -> int:
        """Read a piece; returns how many events began in it."""
        if self._head is not None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return 0
            self._begin(head.lower())
        if not self.stream:
            self._left -= len(data)
            self.whole = self._left == 0
            return 0
        # What could be the beginning of a mark is looked at again with the next piece; a whole mark never is.
        piece = self._tail + data
        begun = piece.count(_MARK)
        self._marked = self._marked or _DONE in piece
        self._tail = piece[1 - len(_MARK) :]
        self.events += begun
        self.whole = self._marked and piece.endswith(_LAST_CHUNK)
        return begun

    def _begin(self, head: bytes) -> None:
        self._head = None
        self.status = int(head[9:12])
        self.stream = b"text/event-stream" in head
        if not self.stream:
            _, _, length = head.partition(b"content-length:")
            self._left = int(length.split(b"\r\n")[0])


def request(port: int, key: str, body: bytes) -> bytes:
    """The bytes of one chat completion's request."""
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "Content-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
