"""Client and commands of a store that is not there: it answers what a test wants, or not at all."""

from typing import Any, cast

from redis.asyncio import Redis

from tests.doubles.transport import Hang


class FakeRedis:
    """The commands that readiness and records use.

    ``trouble`` is raised by every command, ``slow`` waited for before; ``entries`` is what the stream of records holds,
    newest first.
    """

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.slow: Hang | None = None
        self.entries: list[tuple[bytes, dict[bytes, bytes]]] = []

    def as_client(self) -> Redis:
        """Itself, for a parameter that wants a whole client."""
        return cast("Redis", self)

    async def _reach(self) -> None:
        if self.slow is not None:
            await self.slow.wait()
        if self.trouble is not None:
            raise self.trouble

    async def send(self, _: bytes) -> bytes:
        """Any command of a request's."""
        await self._reach()
        return b"PONG"

    async def xrevrange(self, *_: object, **__: object) -> Any:  # noqa: ANN401 - as the client has it
        """XREVRANGE."""
        await self._reach()
        return self.entries
