"""What an endpoint's bytes are received as: the same, wherever they are split."""

from collections.abc import Sequence

from gateway.upstream.reception import Reception
from tests.fuzz.splitting import split


def received(pieces: Sequence[bytes], *, bodyless: bool) -> tuple[object, ...]:
    """All that somebody acts on: of an answer that is none no more than that."""
    reception = Reception(bodyless=bodyless)
    body = b""
    for piece in pieces:
        reception.feed(piece)
        body += reception.take()
        assert reception.buffered == 0
    reception.end()
    assert reception.complete != bool(reception.problem)
    if not reception.head_done:
        return (reception.complete,)
    answer = (reception.status, reception.headers, body)
    return (*answer, reception.reusable) if reception.complete else answer


def reception(data: bytes) -> None:
    """The first byte says whether the answer has a body, the next four how it is split."""
    pieces, whole = split(data[1:])
    bodyless = bool(data) and bool(data[0] & 1)
    assert received([whole] if whole else [], bodyless=bodyless) == received(pieces, bodyless=bodyless)
