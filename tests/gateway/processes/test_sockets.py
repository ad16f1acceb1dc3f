"""One listening socket for each process, all on one address."""

import socket
from contextlib import ExitStack

import pytest

from gateway.processes.sockets import listening


def accepted(listener: socket.socket) -> int:
    """How many connections wait at ``listener``."""
    listener.setblocking(False)
    count = 0
    try:
        while True:
            listener.accept()[0].close()
            count += 1
    except BlockingIOError:
        return count


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_all_listen_on_one_free_port_and_each_gets_a_part_of_the_connections(host: str) -> None:
    """The kernel spreads them, and each is given to one only."""
    with listening(host, 0, 3) as sockets, ExitStack() as stack:
        [port] = {each.getsockname()[1] for each in sockets}
        for _ in range(60):
            stack.enter_context(socket.create_connection((host, port), 5))
        parts = [accepted(each) for each in sockets]
        assert sum(parts) == 60
        assert min(parts) > 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), 5)


def test_connections_wait_while_nobody_takes_them() -> None:
    """They are not refused: a process that died is replaced."""
    with listening("127.0.0.1", 0, 1) as [only], socket.create_connection(only.getsockname(), 5) as client:
        client.sendall(b"hello")
        taken, _ = only.accept()
        with taken:
            assert taken.recv(5) == b"hello"


def test_a_port_that_somebody_else_has_is_refused() -> None:
    """Nobody shares it: neither one who wants it alone, nor another gateway of the same user."""
    with ExitStack() as stack:
        alone = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        shared = [stack.enter_context(listening(host, 0, 2))[0] for host in ("127.0.0.1", "::1")]
        for taken in (alone, *shared):
            host, port = taken.getsockname()[:2]
            with pytest.raises(OSError, match="in use"):
                stack.enter_context(listening(host, port, 2))


def test_a_port_can_be_taken_again_at_once() -> None:
    """Connections of the last gateway that have not quite ended do not hold it."""
    with listening("127.0.0.1", 0, 2) as [first, second]:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), 5):
            assert accepted(first) + accepted(second) == 1
    with listening("127.0.0.1", port, 2) as again:
        assert [each.getsockname()[1] for each in again] == [port, port]
