"""No answer is ever another request's, however requests come, are cancelled and are split."""

import asyncio
import random

from gateway.upstream.pool import HttpTransport
from gateway.upstream.transport import UpstreamRequest
from tests.doubles.scripted_server import WAIT_SECONDS_MAX
from tiers.tiermap import Timeouts

TASKS, REQUESTS = 64, 50
CANCELLED_SHARE = 0.1


class EchoServer:
    """Answers each request with its body, in random framing and random pieces.

    Attributes:
        open: Connections that are not closed yet.
    """

    def __init__(self, chance: random.Random) -> None:
        self.open = 0
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until its client closes it."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ended(self) -> None:
        """Every connection is closed by its client."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.rpartition(b"content-length: ")[2])
                wire = self._framed(await reader.readexactly(length))
                while wire:
                    size = self._chance.choice([1, 7, 60, 1_000])
                    writer.write(wire[:size])
                    wire = wire[size:]
                    if self._chance.random() < 0.3:
                        await asyncio.sleep(0)
                await writer.drain()
                if self._chance.random() < 0.02:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self.open -= 1

    def _framed(self, body: bytes) -> bytes:
        if self._chance.random() < 0.5:
            return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        half = len(body) // 2
        parts = [part for part in (body[:half], body[half:]) if part]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


async def _ask(transport: HttpTransport, body: bytes) -> bytes:
    request = UpstreamRequest(method=b"POST", path=b"/v1/x", headers=[], body=body)
    response = await transport.send(request)
    try:
        return await response.read(100_000)
    finally:
        await response.aclose()


async def _ask_often(transport: HttpTransport, name: int, chance: random.Random) -> int:
    """How many answers came; each is checked."""
    answers = 0
    for number in range(REQUESTS):
        body = b"%d-%d " % (name, number) * chance.randint(1, 40)
        asking = asyncio.get_running_loop().create_task(_ask(transport, body))
        if chance.random() < CANCELLED_SHARE:
            for _ in range(chance.randint(0, 12)):
                await asyncio.sleep(0)
            asking.cancel()
        try:
            assert await asking == body
            answers += 1
        except asyncio.CancelledError:
            pass
    return answers


async def test_no_answer_is_another_requests() -> None:
    chance = random.Random(7)
    echo = EchoServer(chance)
    server = await asyncio.start_server(echo.accept, "127.0.0.1", 0)
    transport = HttpTransport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", Timeouts())
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_ask_often(transport, name, random.Random(name))) for name in range(TASKS)]
    await transport.aclose()
    server.close()
    await echo.ended()

    assert sum(task.result() for task in running) > TASKS * REQUESTS * 0.85
    assert echo.open == 0
    assert not transport._open
