"""An answer whose body is there already, for transports that had to read it, or that make it themselves."""

from collections.abc import Callable

from gateway.errors import UpstreamFailed
from gateway.upstream.transport import Headers


class WholeAnswer:
    """Fulfils ``UpstreamResponse``; there is nothing left to wait for, and nothing to close."""

    __slots__ = ("_body", "headers", "status")

    def __init__(self, *, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    @property
    def complete(self) -> bool:
        """See ``UpstreamResponse``."""
        return not self._body

    async def chunk(self) -> bytes:
        """See ``UpstreamResponse``."""
        body, self._body = self._body, b""
        return body

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """See ``UpstreamResponse``."""
        if self._body:
            take(await self.chunk())

    async def read(self, limit: int) -> bytes:
        """See ``UpstreamResponse``."""
        body = await self.chunk()
        if len(body) > limit:
            raise UpstreamFailed(
                f"The endpoint sent an answer of more than {limit} bytes. Ask for less in one request."
            )
        return body

    def hurry(self, seconds: float) -> None:
        """See ``UpstreamResponse``."""

    async def aclose(self) -> None:
        """See ``UpstreamResponse``."""
