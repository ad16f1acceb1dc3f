"""pyqwest: reqwest and hyper on threads of their own; the server chooses the protocol."""

from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyqwest

from bench.client_kinds import PATH


class RustClient:
    """Fulfils ``Client``."""

    def __init__(self, url: str, authority: Path) -> None:
        parts = urlsplit(url)
        self._url = f"{parts.scheme}://{parts.netloc}{PATH}"
        self._transport: Any = pyqwest.HTTPTransport(tls_ca_cert=authority.read_bytes(), enable_otel=False)
        self._client: Any = pyqwest.Client(self._transport)

    async def post(self, body: bytes) -> int:
        """See ``Client``."""
        size = 0
        headers = {"content-type": "application/json"}
        async with self._client.stream("POST", self._url, headers=headers, content=body) as response:
            async for piece in response.content:
                size += len(piece)
            if response.status != HTTPStatus.OK:
                raise RuntimeError(f"status {response.status}")
        return size

    async def aclose(self) -> None:
        """See ``Client``."""
        await self._transport.aclose()
