"""The parser of event streams: where an endpoint's bytes are split changes nothing of what a client gets."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import UpstreamFailed
from gateway.wire.events import EventStream
from gateway.wire.operations import Dialect
from tests.fuzz.splitting import split

DIALECTS = tuple(Dialect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What came of a stream."""

    sent: bytes
    failed: bool
    usage: object
    complete: bool
    finished: bool


def followed(pieces: Sequence[bytes], dialect: Dialect, *, wants_usage: bool, choices: int) -> Followed:
    """Follow a stream to its end or failure. Nothing but ``UpstreamFailed`` may ever be raised."""
    stream = EventStream(dialect, wants_usage=wants_usage, choices=choices, prompt_bytes=100)
    sent, failed = [], False
    try:
        sent += [stream.feed(piece) for piece in pieces]
        sent.append(stream.finish())
    except UpstreamFailed:
        failed = True
    return Followed(
        sent=b"".join(sent), failed=failed, usage=stream.usage, complete=stream.complete, finished=stream.finished
    )


def event_stream(data: bytes) -> None:
    """The first byte says which kind of stream it is, the next four how it is split."""
    kind = data[0] if data else 0
    pieces, whole = split(data[1:])
    dialect = DIALECTS[kind % len(DIALECTS)]
    wants_usage, choices = bool(kind & 16), 1 + (kind >> 5 & 1)
    once = followed([whole] if whole else [], dialect, wants_usage=wants_usage, choices=choices)
    parts = followed(pieces, dialect, wants_usage=wants_usage, choices=choices)
    assert once.failed == parts.failed
    assert once.failed or once == parts
    if once.failed and dialect in {Dialect.CHAT, Dialect.COMPLETION}:
        assert not (b"\n" + parts.sent).endswith(b"\ndata: [DONE]\n\n"), "a broken stream never looks complete"
