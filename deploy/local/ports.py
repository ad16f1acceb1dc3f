"""Whether the local system's ports are free, asked before anything starts."""

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.errors import PortsTaken

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that something of this system will listen on; ``remedy`` says how to give it another."""

    number: int
    purpose: str
    remedy: str


def require_free(ports: Sequence[Port], *, host: str = HOST) -> None:
    """Make sure that every port of ``host`` can be listened on, and that no two are the same.

    Raises:
        PortsTaken: Names every port that is not free, with what to do about each.
    """
    problems: list[str] = []
    remedies: list[str] = []
    purposes: dict[int, str] = {}
    for port in ports:
        if port.number in purposes:
            problem = f"port {port.number} is wanted twice: by the {purposes[port.number]} and the {port.purpose}"
        else:
            problem = _problem(port, host)
        purposes.setdefault(port.number, port.purpose)
        if problem:
            problems.append(problem)
            remedies.append(port.remedy)
    if problems:
        show = f"`ss -ltnp` shows what listens (an earlier run, perhaps: stop it); or {'; '.join(remedies)}"
        raise PortsTaken("\n".join(problems), remedy=show)


def _problem(port: Port, host: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of an earlier run that still linger do not hinder a server; its listening socket does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port.number))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port.number}, which the {port.purpose} needs, is in use"
            return f"port {port.number}, which the {port.purpose} needs, cannot be used: {error.strerror}"
    return ""
