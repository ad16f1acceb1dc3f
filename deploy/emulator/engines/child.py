"""A real program behind a worker: a child process, started and stopped with it, so that a cold start is a real one."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.emulator.engines.reply import Call, EngineFailed, Reply
from deploy.local import tether
from deploy.local.ports import HOST
from deploy.local.processes import Child, describe_status, log_tail

_POLL_SECONDS = 0.05
_LOG_LINES = 5
_HOP_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "authorization", "keep-alive"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How a worker's program is started; it listens on ``port`` of 127.0.0.1."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    health_path: str
    log: Path
    grace_seconds: float = 5.0


class ChildEngine:
    """One worker's engine as a child process."""

    def __init__(self, program: Program, client: httpx.AsyncClient, say: Callable[[str], None]) -> None:
        """Make an engine; ``say`` gets the last lines that its program printed until it was up."""
        self._program = program
        self._say = say
        self._client = client
        self._child: Child | None = None

    async def start(self) -> None:
        """Start the program; returns when its health path answers with 200.

        Raises:
            EngineFailed: It ended before, or cannot be run; its last words are the message.
        """
        program = self._program
        program.log.parent.mkdir(parents=True, exist_ok=True)
        tied = (sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *program.command)
        with program.log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *tied,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(program.environment),
                start_new_session=True,
            )
        loop = asyncio.get_running_loop()
        self._child = Child(program.name, program.log, process, started_at=loop.time())
        while not await self._healthy():
            if process.returncode is not None:
                raise EngineFailed(await self.ended())
            await asyncio.sleep(_POLL_SECONDS)
        for line in log_tail(program.log).splitlines():
            self._say(line)

    async def ended(self) -> str:
        """Wait until the program has ended by itself; returns its last words."""
        if self._child is None:
            return f"{self._program.name} was never started"
        status = describe_status(await self._child.ended())
        return f"{log_tail(self._program.log, _LOG_LINES)}\n{self._program.name} ended ({status})".strip()

    async def stop(self) -> None:
        """Stop the program and what it started."""
        if self._child is not None:
            await self._child.stop(self._program.grace_seconds)

    async def request(self, call: Call) -> Reply:
        """Pass a request on.

        Raises:
            EngineFailed: The program does not answer.
        """
        request = self._client.build_request(
            call.method,
            self._url(call.path),
            headers=[(name, value) for name, value in call.headers if name.lower() not in _HOP_HEADERS],
            content=call.body,
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise EngineFailed(f"{self._program.name} does not answer: {type(error).__name__}") from error
        kept = tuple((name, value) for name, value in response.headers.items() if name not in _OWN_HEADERS)
        content_type = response.headers.get("content-type", "")
        return Reply(status=response.status_code, content_type=content_type, pieces=_pieces(response), headers=kept)

    async def _healthy(self) -> bool:
        try:
            response = await self._client.get(self._url(self._program.health_path))
        except httpx.HTTPError:
            return False
        return response.status_code == httpx.codes.OK

    def _url(self, path: str) -> str:
        return f"http://{HOST}:{self._program.port}{path}"


_OWN_HEADERS = _HOP_HEADERS | {"content-type", "date", "server", "content-encoding"}


async def _pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in response.aiter_bytes():
            yield piece
    except httpx.HTTPError as error:
        raise EngineFailed(f"the answer broke off: {type(error).__name__}") from error
    finally:
        await response.aclose()
