"""The HTTP clients that are compared, behind one small interface."""

import ssl
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

PATH = "/v1/chat/completions"


class Client(Protocol):
    """One client with its connections."""

    async def post(self, body: bytes) -> int:
        """Send a chat completion and read its answer, piece by piece; the answer's size. Raises on anything but 200."""

    async def aclose(self) -> None:
        """Close the connections."""


async def connect(kind: str, url: str, authority: Path) -> Client:
    """The client of that kind for the base URL. Each one's libraries are loaded only in its own race."""
    match kind:
        case "own":
            from bench.own_client import OwnClient  # noqa: PLC0415 - see above

            return OwnClient(url, authority)
        case "h2":
            from bench.pure_http2 import PureHttp2Client  # noqa: PLC0415 - see above

            context = ssl.create_default_context(cafile=str(authority))
            context.set_alpn_protocols(["h2"])
            parts = urlsplit(url)
            return await PureHttp2Client.open(parts.hostname or "", parts.port or 443, context)
        case _:
            from bench.rust_client import RustClient  # noqa: PLC0415 - see above

            return RustClient(url, authority)
