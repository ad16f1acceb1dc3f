"""What ``forward`` and ``relay`` ask of a way to an endpoint. One module per kind of transport fulfils it."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.journey import Journey
from gateway.wire.header_lines import HeaderLines

Headers = Sequence[tuple[bytes, bytes]]
"""Header names in lower case, in the order received."""


class UpstreamRequest:
    """One request to an endpoint; never changed. ``path`` is the operation's, such as ``/v1/chat/completions``.

    ``headers`` are the caller's that pass, then the endpoint's own. ``due`` is when its answer is no longer wanted, by
    the monotonic clock; ``journey`` is filled in where the way is more than one call. ``affinity`` is what it has in
    common with others that one worker should serve, where the transport can ask for one.
    """

    __slots__ = ("affinity", "body", "due", "headers", "journey", "method", "path")

    def __init__(
        self,
        *,
        method: bytes,
        path: bytes,
        headers: Sequence[HeaderLines],
        body: bytes,
        due: float = math.inf,
        journey: Journey | None = None,
        affinity: bytes | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.due = due
        self.journey = journey
        self.affinity = affinity

    def __repr__(self) -> str:
        """Without headers and body: they hold the endpoint's key and the caller's words."""
        return f"UpstreamRequest({self.method.decode()} {self.path.decode()}, {len(self.body)} bytes)"


class UpstreamResponse(Protocol):
    """An answer whose head has arrived and whose body is still to be read.

    The reader calls ``aclose`` on every way out: after the last chunk it returns the connection to its pool, earlier
    it closes the connection, which tells the endpoint to stop generating.
    """

    status: int
    headers: Headers

    @property
    def complete(self) -> bool:
        """Whether the whole body came and was read."""

    async def chunk(self) -> bytes:
        """The next piece of the body as it came, or ``b""`` when the body is complete.

        Raises:
            UpstreamFailed: The connection ended or broke before the body was complete, or it was not HTTP.
            UpstreamTimeout: No byte came for the idle timeout.
        """

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """Give each piece of the body to ``take`` in the very moment it comes, until the body is complete or ``take``
        returns ``False``. What comes after that waits for the next call. Raises as ``chunk``, and what ``take`` raises.
        """

    async def read(self, limit: int) -> bytes:
        """The rest of the body. Raises as ``chunk``, and ``UpstreamFailed`` above ``limit`` bytes."""

    def hurry(self, seconds: float) -> None:
        """From the next piece on, wait no longer than so many seconds for another."""

    async def aclose(self) -> None:
        """Give the connection back or close it. Never raises; calling it twice is fine."""


class Transport(Protocol):
    """A way to one endpoint."""

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a request and wait for the head of its answer.

        Raises:
            UpstreamUnreachable: No connection could be made within the connect timeout; nothing was sent.
            UpstreamTimeout: No head came within the headers timeout.
            UpstreamFailed: The connection broke before the head was complete, what came was not HTTP, or the request
                holds something that cannot be sent, such as a line break in a header.
        """

    async def aclose(self) -> None:
        """Close idle connections now and the others when their answers end."""


class Waking(Transport, Protocol):
    """A way to an endpoint whose workers sleep while nobody asks."""

    async def wake(self, headers: Sequence[HeaderLines]) -> None:
        """Have one worker woken, with the least that does it. ``headers`` hold the endpoint's key.

        Raises as ``send``, and ``UpstreamRefused`` or ``UpstreamAnswered`` where that was refused.
        """
