"""The listening sockets: one for each process, all on one address.

The kernel gives each connection to one of them by a hash of its two addresses. One socket that all processes share
would not do: then whoever wakes first takes what is there, and that is mostly the same one.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def listening(host: str, port: int, count: int) -> Iterator[list[socket.socket]]:
    """``count`` sockets that listen on one address; port 0 takes a free one for all of them.

    How many connections may wait at each is set by the process that serves it.

    Raises:
        OSError: The address cannot be listened on, or somebody listens there already, also one who would share it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        if port != 0:
            _refuse_company(family, host, port)
        sockets: list[socket.socket] = []
        for _ in range(count):
            listener = socket.create_server((host, port), family=family, reuse_port=True)
            sockets.append(stack.enter_context(listener))
            port = listener.getsockname()[1]
        yield sockets


def _refuse_company(family: socket.AddressFamily, host: str, port: int) -> None:
    """Another gateway of the same user may share the port, too, and would then get half of the requests."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((host, port))
