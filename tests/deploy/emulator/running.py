"""A running emulator, and a client that calls it over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from deploy.emulator.app import Emulator, Options, emulating
from deploy.emulator.model.config import EndpointConfig
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.worlds import KEY, START, balanced, config

INSTANT = Faults(pull_seconds=0.0, load_seconds=0.0)
CHAT = {"model": "router", "messages": [{"role": "user", "content": "hi"}]}


class Running:
    """An emulator with its client."""

    def __init__(self, emulator: Emulator, client: httpx.AsyncClient) -> None:
        self.emulator = emulator
        self.client = client

    @property
    def world(self) -> Any:  # noqa: ANN401 - tests look at everything in it, and time changes what they looked at
        """Its world."""
        return self.emulator.world

    def endpoint(self, settings: EndpointConfig, faults: Faults) -> Endpoint:
        """An endpoint of its account, with those faults."""
        now = self.emulator.clock.now()
        made = self.emulator.world.create_endpoint(self.emulator.account.id, settings, now)
        self.emulator.world.set_faults(made.id, faults, now)
        return made

    def queue(self, faults: Faults = INSTANT, **changes: object) -> Endpoint:
        """A queue endpoint whose workers start at once and stay."""
        return self.endpoint(config(**({"idle_timeout_seconds": 3600} | changes)), faults)

    def balanced(self, faults: Faults = INSTANT, **changes: object) -> Endpoint:
        """A load-balancing endpoint whose workers start at once and stay."""
        return self.endpoint(balanced(**({"idle_timeout_seconds": 3600} | changes)), faults)

    def url(self, endpoint: Endpoint, path: str) -> str:
        """An operation's address."""
        origin = self.emulator.origin
        plane = "v2" if endpoint.config.type == "QUEUE" or path == "health" else "lb"
        return f"{origin}/{plane}/{endpoint.id}/{path}"

    async def get(self, endpoint: Endpoint, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Ask one of its operations."""
        return await self.client.get(self.url(endpoint, path), **more)

    async def post(self, endpoint: Endpoint, path: str, body: object = None, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Call one of its operations with a JSON body."""
        return await self.client.post(self.url(endpoint, path), json=body, **more)

    async def ended(self, endpoint: Endpoint, job_id: str) -> dict[str, Any]:
        """A job when it has ended; polls it."""
        while True:
            told: dict[str, Any] = (await self.get(endpoint, f"status/{job_id}")).json()
            if told["status"] not in {"IN_QUEUE", "IN_PROGRESS"}:
                return told
            await self.emulator.clock.sleep(0.5)


async def until(condition: Callable[[], bool], *, seconds_max: float = 5.0) -> None:
    """Wait for a condition that time brings about."""
    async with asyncio.timeout(seconds_max):
        while not condition():  # noqa: ASYNC110 - nobody tells when it has come
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(*, speed: float = 500.0, **options: Any) -> AsyncIterator[Running]:  # noqa: ANN401 - fields of Options
    """An emulator that serves as long as the block."""
    headers = {"authorization": f"Bearer {KEY}"}
    async with (
        emulating(Options(key=KEY, start=START, speed=speed, seed=3, **options)) as emulator,
        httpx.AsyncClient(headers=headers, timeout=20, trust_env=False) as client,
    ):
        yield Running(emulator, client)
