"""Client and endpoint in one thread, in step: each sends only when the other side's last bytes have come through.

So the gateway between them meets the same bytes in the same pieces in every run, however fast the machine is. Two
programs of their own would make it read two pieces at once or one, as it happens, and no count would come twice.
"""

import select
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.guard import traffic

WAIT_SECONDS_MAX = 30.0
"""How long the next bytes may take."""


class OutOfStep(RuntimeError):
    """The gateway did not do what it does in every run; the message shows what came."""


class Lockstep:
    """An endpoint that listens at ``url`` on entry, and a client once ``connect`` was called; both keep alive."""

    def __init__(self, *, wait_seconds: float = WAIT_SECONDS_MAX) -> None:
        self._wait_seconds = wait_seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(wait_seconds)
        self._client: socket.socket | None = None
        self._endpoint: socket.socket | None = None
        self._json, self._stream = traffic.request(stream=False), traffic.request(stream=True)
        self._answer, self._pieces = traffic.json_answer(), traffic.stream_pieces()

    @property
    def url(self) -> str:
        """The endpoint's base URL for a tier map."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._client, self._endpoint, self._listener):
            if one is not None:
                one.close()

    def connect(self, port: int) -> None:
        """Open the client's connection to the gateway; raises ``OSError`` where nothing listens."""
        self._client = _prompt(socket.create_connection(("127.0.0.1", port)), self._wait_seconds)

    def ask(self) -> None:
        """One JSON request and its answer."""
        client, endpoint = self._asked(self._json)
        endpoint.sendall(self._answer)
        _expect_ok(_read(client, traffic.is_whole))

    def stream(self) -> None:
        """One stream, each event on its way only when the one before has arrived."""
        client, endpoint = self._asked(self._stream)
        got = b""
        for number, (piece, mark) in enumerate(self._pieces):
            endpoint.sendall(piece)
            got = _read(client, traffic.contains(mark))
            if number == 0:
                _expect_ok(got)
        if traffic.DONE not in got:
            raise OutOfStep(f"the stream ended without its mark: {got[-500:]!r}")

    def _asked(self, request: bytes) -> tuple[socket.socket, socket.socket]:
        """Send a request through; returns both ends once the endpoint has it whole."""
        client = self._client
        if client is None:
            raise OutOfStep("the client is not connected")
        client.sendall(request)
        source = self._endpoint or self._listener
        ready, _, _ = select.select([client, source], [], [], self._wait_seconds)
        if source not in ready:
            # An answer without the endpoint, or nothing at all: either way the request did not come through.
            raise OutOfStep(f"the endpoint was not asked; the client got {_rest(client)!r}")
        if self._endpoint is None:
            self._endpoint = _prompt(self._listener.accept()[0], self._wait_seconds)
        _read(self._endpoint, traffic.is_whole)
        return client, self._endpoint


def _prompt(connection: socket.socket, wait_seconds: float) -> socket.socket:
    """Without Nagle's wait, and never blocking for ever."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(wait_seconds)
    return connection


def _read(connection: socket.socket, enough: Callable[[bytes], bool]) -> bytes:
    got = b""
    while not enough(got):
        try:
            more = connection.recv(65_536)
        except TimeoutError:
            raise OutOfStep(f"nothing more for {connection.gettimeout()} s after {got[-500:]!r}") from None
        if not more:
            raise OutOfStep(f"the gateway closed its connection after {got[-500:]!r}")
        got += more
    return got


def _rest(connection: socket.socket) -> bytes:
    """What has come already."""
    connection.settimeout(0)
    try:
        return connection.recv(500)
    except BlockingIOError:
        return b""


def _expect_ok(answer: bytes) -> None:
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise OutOfStep(f"not answered with 200: {answer[:500]!r}")
