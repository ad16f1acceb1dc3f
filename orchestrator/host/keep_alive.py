"""An open request that keeps this worker awake while it has runs under way.

A balancer counts requests: a worker without one looks idle, and is stopped after its idle time-out, in the middle of a
run whose caller was answered 202 and left. So the worker calls itself, through the balancer's edge and with its own
affinity, a request that is answered when no run is under way any more, and asks again before the edge would cut it.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import httpx

HOLD_SECONDS_MAX: Final = 240.0
"""How long one such request is held; the edge cuts after 330 seconds."""
RETRY_SECONDS: Final = 5.0
"""The pause after one that failed: shorter than any idle time-out that makes sense for runs."""
AGAIN_SECONDS: Final = 0.05
"""The pause after one that was answered: an edge that answers at once is not to be flooded."""
AFFINITY_HEADER: Final = "x-runpod-worker-id"
HOLD_PATH: Final = "/hold"


class Business:
    """How many runs are under way in this worker, and when there are some or none."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._busy, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def begin(self, name: str) -> None:
        """A run is under way."""
        self._names.add(name)
        self._busy.set()
        self._idle.clear()

    def end(self, name: str) -> None:
        """It is not any more."""
        self._names.discard(name)
        if not self._names:
            self._busy.clear()
            self._idle.set()

    async def busy(self) -> None:
        """Wait until some run is under way."""
        await self._busy.wait()

    async def idle(self, seconds_max: float) -> bool:
        """Wait until none is, so long at most; whether that came."""
        if not self._idle.is_set():
            waiting = asyncio.get_running_loop().create_task(self._idle.wait())
            try:
                await asyncio.wait({waiting}, timeout=seconds_max)
            finally:
                waiting.cancel()
        return self._idle.is_set()


async def keep_alive(
    business: Business,
    *,
    origin: str,
    worker: str,
    headers: Mapping[str, str],
    say: Callable[[str], object],
    transport: httpx.AsyncBaseTransport | None = None,
    retry_seconds: float = RETRY_SECONDS,
) -> None:
    """Hold a request to ``worker`` itself, at the edge's ``origin``, whenever a run is under way; until cancelled.

    ``headers`` carry what the edge and this app ask for. A request that fails is told, once for each reason, and made
    again.
    """
    told = ""
    sent = {**headers, AFFINITY_HEADER: f"strict {worker}"}
    async with httpx.AsyncClient(timeout=HOLD_SECONDS_MAX + 60, transport=transport, headers=sent) as client:
        while True:
            await business.busy()
            trouble = await _hold(client, f"{origin}{HOLD_PATH}", worker)
            if trouble and trouble != told:
                say(f"keep-alive: {trouble}; a run that nobody asks about may be cut off when this worker looks idle")
            told = trouble
            await asyncio.sleep(retry_seconds if trouble else AGAIN_SECONDS)


async def _hold(client: httpx.AsyncClient, url: str, worker: str) -> str:
    """Hold one request to its end; what went wrong, empty where nothing did."""
    try:
        answer = await client.get(url)
    except httpx.HTTPError as error:
        return f"{url} failed: {type(error).__name__}"
    if answer.status_code != httpx.codes.OK:
        return f"{url} answered {answer.status_code}"
    try:
        reached = answer.json()["worker"]
    except (ValueError, KeyError, TypeError):
        return f"{url} answered something else than a worker"
    return "" if reached == worker else f"{url} reached another worker, {reached}"
