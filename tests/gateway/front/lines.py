"""Doubles for a hot connection: its far ends without a socket."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from gateway.front.answer_head import AnswerHeads
from tests.doubles.manual_loop import ManualLoop, ManualTimer, RecordingTransport


class FrontLoop(ManualLoop):
    """Time that the test moves; tasks run on the loop that runs the test."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[dict[str, Any]] = []

    def __eq__(self, other: object) -> bool:
        """Asyncio looks a running task up by its loop: for that this one is the loop that runs the test."""
        return other is self or other is asyncio.get_running_loop()

    def __hash__(self) -> int:
        return hash(asyncio.get_running_loop())

    def create_task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task of the loop that runs the test."""
        return asyncio.get_running_loop().create_task(work)

    def call_later(self, delay: float, callback: Callable[[], None]) -> ManualTimer:
        """Call when ``advance`` has passed ``delay`` seconds."""
        return self.call_at(self.time() + delay, callback)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember what was reported."""
        self.failures.append(context)


class FrontTransport(RecordingTransport):
    """A transport that can be closed and given to another protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = self.ended = False
        self.protocol: asyncio.BaseProtocol | None = None

    def close(self) -> None:
        """See ``asyncio.BaseTransport``."""
        self.closed = True

    def write_eof(self) -> None:
        """See ``asyncio.WriteTransport``."""
        self.ended = True

    def is_closing(self) -> bool:
        """See ``asyncio.BaseTransport``."""
        return self.closed or self.aborted

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See ``asyncio.BaseTransport``."""
        self.protocol = protocol


@dataclass
class FakeConnection:
    """Fulfils ``gateway.front.client.Connection``."""

    heads: AnswerHeads = field(default_factory=AnswerHeads)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    task: asyncio.Task[None] | None = None
    transport: asyncio.Transport = field(default_factory=FrontTransport)
    closing: bool = False
    write_paused: bool = False
