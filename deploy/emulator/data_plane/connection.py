"""Breaking a connection off: what a client sees of a host that dies."""

import socket
import struct
from typing import Protocol, cast

from starlette.types import ASGIApp, Receive, Scope, Send

_KEY = "emulator.transport"
_LINGER_NOT = struct.pack("ii", 1, 0)


class _Transport(Protocol):
    def abort(self) -> None:
        """Close it at once."""

    def get_extra_info(self, name: str) -> socket.socket:
        """Its socket."""


class Breakable:
    """An application whose handlers can break the connection off: uvicorn's own ``send`` knows its transport."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope[_KEY] = getattr(getattr(send, "__self__", None), "transport", None)
        await self._app(scope, receive, send)


def break_off(scope: Scope, *, reset: bool = False) -> None:
    """Close a request's connection now, without an end to its answer; as a reset where ``reset`` says so."""
    transport = cast("_Transport | None", scope.get(_KEY))
    if transport is None:
        return
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
