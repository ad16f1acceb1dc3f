"""A program behind a queue worker that takes its jobs itself, as those do that are built on Runpod's SDK.

It asks for jobs over HTTP, one request until there is one, says how far it is, and at last what came out.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from deploy.emulator.engines.child import ChildEngine, Program

TAKE_SECONDS = 5.0
"""How long, by the machine's clock, a worker that asks for jobs waits for one. At Runpod it is longer."""


class JobTaker(ChildEngine):
    """One worker's program as a child process; it is up when it has asked for its first job."""

    def __init__(self, program: Program, client: httpx.AsyncClient, say: Callable[[str], None]) -> None:
        super().__init__(program, client, say)
        self._asked = False
        self._waiting: deque[dict[str, Any]] = deque()
        self._came = asyncio.Condition()
        self._results: dict[str, asyncio.Future[Mapping[str, Any]]] = {}

    async def work(self, job_id: str, job_input: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have the program work on a job; what it sent in the end: ``output``, ``error`` or both."""
        result: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._results[job_id] = result
        job = {"id": job_id, "input": dict(job_input)}
        async with self._came:
            self._waiting.append(job)
            self._came.notify()
        try:
            return await result
        finally:
            self._results.pop(job_id, None)
            if job in self._waiting:
                self._waiting.remove(job)

    async def take(self, most: int) -> list[dict[str, Any]]:
        """Jobs for the program, as soon as there are any; none where there were none for ``TAKE_SECONDS``."""
        self._asked = True
        try:
            async with asyncio.timeout(TAKE_SECONDS), self._came:
                await self._came.wait_for(lambda: bool(self._waiting))
                return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        except TimeoutError:
            return []

    def told(self, job_id: str, body: Mapping[str, Any]) -> None:
        """What the program sent of a job; how far it is ends nothing, and what nobody waits for is dropped."""
        result = self._results.get(job_id)
        if result is not None and not result.done() and body.get("status") != "IN_PROGRESS":
            result.set_result(body)

    async def _healthy(self) -> bool:
        return self._asked
