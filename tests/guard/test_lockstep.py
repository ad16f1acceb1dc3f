"""Client and endpoint in step, around a gateway that only passes bytes on, or does not."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.guard.lockstep import Lockstep, OutOfStep

Conduct = Callable[[socket.socket, int], None]
"""What a gateway does with its client's connection, given the endpoint's port."""


@contextmanager
def around(conduct: Conduct, *, wait_seconds: float = 10.0) -> Iterator[Lockstep]:
    """Client and endpoint, connected, around a server of one connection in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lockstep = Lockstep(wait_seconds=wait_seconds)
        endpoint_port = int(lockstep.url.rpartition(":")[2].partition("/")[0])

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                conduct(connection, endpoint_port)

        thread = threading.Thread(target=serve)
        thread.start()
        with lockstep:
            lockstep.connect(listener.getsockname()[1])
            yield lockstep
        thread.join(10)
        assert not thread.is_alive()


def pass_on(client: socket.socket, endpoint_port: int) -> None:
    """Bytes of either side to the other, until the client is gone."""
    with socket.create_connection(("127.0.0.1", endpoint_port)) as endpoint:
        answers = threading.Thread(target=_copy, args=(endpoint, client))
        answers.start()
        _copy(client, endpoint)
        endpoint.shutdown(socket.SHUT_RDWR)
        answers.join(10)


def pass_on_without_marks(client: socket.socket, endpoint_port: int) -> None:
    """As ``pass_on``, with the end mark of a stream spoilt."""
    with socket.create_connection(("127.0.0.1", endpoint_port)) as endpoint:
        endpoint.sendall(client.recv(65_536))
        while data := endpoint.recv(65_536):
            client.sendall(data.replace(b"[DONE]", b"[GONE]"))
            if b"\r\n0\r\n\r\n" in data:
                return


def refuse(client: socket.socket, _: int) -> None:
    """An answer of the gateway's own."""
    client.recv(65_536)
    client.sendall(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")
    client.recv(1)


def fail(client: socket.socket, endpoint_port: int) -> None:
    """The endpoint is asked, and its answer dropped."""
    with socket.create_connection(("127.0.0.1", endpoint_port)) as endpoint:
        endpoint.sendall(client.recv(65_536))
        endpoint.recv(65_536)
        client.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
        client.recv(1)


def leave(client: socket.socket, endpoint_port: int) -> None:
    """The endpoint is asked, and the client's connection closed."""
    with socket.create_connection(("127.0.0.1", endpoint_port)) as endpoint:
        endpoint.sendall(client.recv(65_536))


def stay_silent(client: socket.socket, endpoint_port: int) -> None:
    """The endpoint is asked, and the client gets nothing."""
    with socket.create_connection(("127.0.0.1", endpoint_port)) as endpoint:
        endpoint.sendall(client.recv(65_536))
        client.recv(1)


def ignore(client: socket.socket, _: int) -> None:
    """Nobody is asked, and the client gets nothing."""
    while client.recv(65_536):
        pass


def stream_with_another_status(client: socket.socket, endpoint_port: int) -> None:
    """The endpoint's stream behind another head."""
    with socket.create_connection(("127.0.0.1", endpoint_port)) as endpoint:
        endpoint.sendall(client.recv(65_536))
        client.sendall(b"HTTP/1.1 500 Internal Server Error\r\n" + endpoint.recv(65_536))
        client.recv(1)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    while data := source.recv(65_536):
        sink.sendall(data)


def test_requests_and_streams_go_through_one_after_the_other_on_the_same_connections() -> None:
    with around(pass_on) as lockstep:
        for _ in range(3):
            lockstep.ask()
            lockstep.stream()


@pytest.mark.parametrize(
    ("conduct", "words"),
    [
        (refuse, "the endpoint was not asked; the client got b'HTTP/1.1 401"),
        (fail, "not answered with 200: b'HTTP/1.1 502"),
        (leave, "closed its connection"),
    ],
)
def test_a_gateway_that_does_something_else_is_reported_with_what_it_sent(conduct: Conduct, words: str) -> None:
    with around(conduct) as lockstep, pytest.raises(OutOfStep, match=words):
        lockstep.ask()


@pytest.mark.parametrize(
    ("conduct", "words"), [(stay_silent, "nothing more for 0.2 s"), (ignore, "not asked; the client got b''")]
)
def test_a_gateway_that_says_nothing_is_not_waited_for_for_ever(conduct: Conduct, words: str) -> None:
    with around(conduct, wait_seconds=0.2) as lockstep, pytest.raises(OutOfStep, match=words):
        lockstep.ask()


def test_a_stream_without_its_end_mark_is_reported() -> None:
    with around(pass_on_without_marks) as lockstep, pytest.raises(OutOfStep, match="ended without its mark"):
        lockstep.stream()


def test_a_stream_that_is_none_is_reported() -> None:
    with around(stream_with_another_status) as lockstep, pytest.raises(OutOfStep, match="not answered with 200"):
        lockstep.stream()


def test_nobody_asks_before_the_client_is_connected() -> None:
    with Lockstep() as lockstep, pytest.raises(OutOfStep, match="not connected"):
        lockstep.ask()
