"""Small work that outlives the request it is for, such as telling Runpod that nobody wants a job any more."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Errands:
    """Runs them beside requests; whoever closes the gateway waits for them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, errand: Coroutine[Any, Any, None]) -> None:
        """Run ``errand``, which tells of its own failures."""
        task = asyncio.get_running_loop().create_task(errand)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float) -> None:
        """Wait until all are done, but no longer than so; what is left then is cancelled."""
        tasks = list(self._tasks)
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=seconds)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
