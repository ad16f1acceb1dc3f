"""Tells the end of jobs to their webhooks: once, and twice more where they do not answer with 200."""

import asyncio

import httpx

from deploy.emulator.clock import EmulatedClock
from deploy.emulator.model.job import Job

TRIES_MAX = 3
PAUSE_SECONDS = 10.0


class Webhooks:
    """Calls that are on their way. ``close`` gives them up."""

    def __init__(self, clock: EmulatedClock, client: httpx.AsyncClient) -> None:
        self._clock = clock
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, job: Job) -> None:
        """Tell a job's webhook how it ended."""
        task = asyncio.get_running_loop().create_task(self._tell(job.webhook, job.answer(self._clock.now())))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what has not been told yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, url: str, told: dict[str, object]) -> None:
        for tried in range(TRIES_MAX):
            if tried:
                await self._clock.sleep(PAUSE_SECONDS)
            try:
                response = await self._client.post(url, json=told)
            except (httpx.HTTPError, httpx.InvalidURL):
                continue
            if response.status_code == httpx.codes.OK:
                return
