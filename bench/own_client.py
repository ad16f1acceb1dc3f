"""The gateway's own client: HTTP/1.1, pieces pushed as they come."""

from http import HTTPStatus
from pathlib import Path

from bench.client_kinds import PATH
from gateway.upstream.pool import HttpTransport
from gateway.upstream.tls import client_context
from gateway.upstream.transport import UpstreamRequest
from gateway.wire.header_lines import HeaderLines
from tiers.tiermap import Timeouts

HEADERS = (HeaderLines([(b"content-type", b"application/json"), (b"accept", b"*/*")]),)


class OwnClient:
    """Fulfils ``Client``."""

    def __init__(self, url: str, authority: Path) -> None:
        self._transport = HttpTransport(url, Timeouts(), ssl_context=client_context(authorities=authority))

    async def post(self, body: bytes) -> int:
        """See ``Client``."""
        size = 0

        def take(piece: bytes) -> bool:
            nonlocal size
            size += len(piece)
            return True

        request = UpstreamRequest(method=b"POST", path=PATH.encode(), headers=HEADERS, body=body)
        response = await self._transport.send(request)
        try:
            await response.pump(take)
        finally:
            await response.aclose()
        if response.status != HTTPStatus.OK:
            raise RuntimeError(f"status {response.status}")
        return size

    async def aclose(self) -> None:
        """See ``Client``."""
        await self._transport.aclose()
