"""What a scripted server does as a store: it reads commands, and answers what its script says."""

from dataclasses import dataclass

from tests.doubles.scripted_server import Line

OK = b"+OK\r\n"


@dataclass(frozen=True, slots=True)
class Commands:
    """Read ``count`` commands and record each, its words joined by blanks."""

    count: int = 1

    async def play(self, line: Line) -> None:
        """See ``Step``."""
        for _ in range(self.count):
            words = [await self._word(line) for _ in range(await self._number(line, b"*"))]
            line.server.requests.append(b" ".join(words))
            line.server.changed()

    async def _word(self, line: Line) -> bytes:
        size = await self._number(line, b"$")
        return (await line.reader.readexactly(size + 2))[:-2]

    async def _number(self, line: Line, kind: bytes) -> int:
        head = await line.reader.readuntil(b"\r\n")
        assert head.startswith(kind)
        return int(head[1:])
