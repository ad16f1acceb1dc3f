"""Jobs of a Runpod endpoint with a queue, as bytes: what is sent to ``/run``, what ``/status`` and ``/stream`` tell.

A job's ``output`` is a list of what its handler yielded: one whole answer, or the pieces of a stream as texts. What
vLLM answered is taken out of it byte for byte.
"""

import re
from typing import Final

import msgspec

from gateway.wire.shapes import ABSENT

RUN_BYTES_MAX: Final = 10_000_000
"""What ``/run`` takes."""
WAKE: Final = b'{"openai_route":"/v1/models","openai_input":null}'
"""The input of the least job that only a worker with a running engine can do. An empty one would be refused there."""
_QUEUED: Final = "IN_QUEUE"
_OPEN: Final = frozenset({_QUEUED, "IN_PROGRESS", "RUNNING"})
_COMPLETED: Final = "COMPLETED"
_TOKENS: Final = re.compile(rb'"(?:completion_tokens|output_tokens)"\s*:\s*(\d{1,9})\b')


class Asked(msgspec.Struct, frozen=True):
    """What decides a request's way: whether it wants a stream, and how many tokens it allows."""

    stream: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None

    @property
    def bound(self) -> int | None:
        """The most tokens that its answer may have; ``None`` where it does not say."""
        bounds = (self.max_completion_tokens, self.max_tokens, self.max_output_tokens)
        return next((bound for bound in bounds if bound is not None), None)


class Accepted(msgspec.Struct, frozen=True):
    """The answer to ``/run``."""

    id: str


class Job(msgspec.Struct, frozen=True, rename="camel"):
    """What ``/status`` tells; times are Runpod's milliseconds. Any status but the known ones is an end."""

    status: str
    output: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    delay_time: float | None = None
    execution_time: float | None = None
    worker_id: str | None = None

    @property
    def queued(self) -> bool:
        """Whether no worker has it."""
        return self.status == _QUEUED

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.status in _OPEN

    @property
    def completed(self) -> bool:
        """Whether it ended well."""
        return self.status == _COMPLETED


class Piece(msgspec.Struct, frozen=True):
    """One that ``/stream`` tells."""

    output: msgspec.Raw = ABSENT


class Drained(msgspec.Struct, frozen=True):
    """What ``/stream`` tells: what came since it was asked last."""

    status: str
    stream: list[Piece] | None = None

    @property
    def queued(self) -> bool:
        """Whether no worker has the job."""
        return self.status == _QUEUED

    @property
    def open(self) -> bool:
        """Whether the job has not ended."""
        return self.status in _OPEN

    def text(self) -> bytes:
        """The pieces, in one."""
        return b"".join(_bytes(each.output) for each in self.stream or ())


_ASKED: Final = msgspec.json.Decoder(Asked)
_ACCEPTED: Final = msgspec.json.Decoder(Accepted)
_JOB: Final = msgspec.json.Decoder(Job)
_DRAINED: Final = msgspec.json.Decoder(Drained)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NOTHING: Final = (b"", b"null")


def asked(body: bytes) -> Asked:
    """What a request asks for; nothing where that cannot be read."""
    try:
        return _ASKED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Asked()


def run_body(path: bytes, body: bytes, *, execution_ms: int, ttl_ms: int) -> bytes:
    """The job that asks a worker's engine for ``path`` with ``body``, which stands in it as it is."""
    asks = b'{"openai_route":%b,"openai_input":%b}' % (msgspec.json.encode(path.decode("latin-1")), body)
    return job_body(asks, execution_ms=execution_ms, ttl_ms=ttl_ms)


def job_body(asks: bytes, *, execution_ms: int, ttl_ms: int) -> bytes:
    """The job with that input, and how long it may run and exist."""
    return b'{"input":%b,"policy":{"executionTimeout":%d,"ttl":%d}}' % (asks, execution_ms, ttl_ms)


def accepted(body: bytes) -> str:
    """The new job's id; empty where the answer has none."""
    try:
        return _ACCEPTED.decode(body).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def job(body: bytes) -> Job | None:
    """What ``/status`` told; ``None`` where it told nothing that can be read."""
    try:
        return _JOB.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def drained(body: bytes) -> Drained | None:
    """What ``/stream`` told; ``None`` where it told nothing that can be read."""
    try:
        return _DRAINED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def whole(output: msgspec.Raw) -> bytes:
    """All that a completed job's handler yielded, as it left the engine; empty where there is nothing."""
    raw = bytes(output)
    if raw[:1] != b"[":
        return _bytes(output)
    try:
        return b"".join(map(_bytes, _LIST.decode(raw)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""


def told_tokens(body: bytes) -> int:
    """How many tokens an answer says that it has; 0 where it says nothing. An estimate: the text is only searched."""
    last = 0
    for found in _TOKENS.finditer(body, max(len(body) - 4096, 0)):
        last = int(found[1])
    return last


def _bytes(output: msgspec.Raw) -> bytes:
    """A text's own bytes, and of any other value those that it came in."""
    raw = bytes(output).strip()
    if raw in _NOTHING:
        return b""
    if raw[:1] != b'"':
        return raw
    try:
        return msgspec.json.decode(raw, type=str).encode("utf-8", "replace")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return b""
