"""A control plane on a world of its own, over real HTTP or in memory; every exchange is held against the document."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from deploy.emulator.clock import EmulatedClock
from deploy.emulator.control_plane.app import control_plane
from deploy.emulator.control_plane.desk import Addresses
from deploy.emulator.control_plane.paging import Edition
from deploy.emulator.control_plane.quota import Window
from deploy.emulator.control_plane.rehearsal import Rehearsal
from deploy.emulator.model.account import Account
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.world import World
from tests.deploy.emulator.control_plane.document import FILE, NOT_IN_IT, document

KEY = "rpa_mine"
OTHER_KEY = "rpa_theirs"
NOW = 1_795_348_800.0
"""Sunday, 22 November 2026, noon in UTC."""
GENEROUS = (Window(name="minute", calls=100_000, seconds=60),)
QUEUE = {
    "name": "route",
    "type": "QUEUE",
    "image": "runpod/worker-v1-vllm:v2.25.2",
    "gpu": {"pools": ["ADA_24"]},
    "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
}
BALANCED = {
    "name": "flows",
    "type": "LOAD_BALANCER",
    "image": "registry.example/flows:1",
    "cpu": [{"id": "cpu3c", "vcpuCount": 4}],
    "scaling": {"type": "REQUEST_COUNT", "requestCount": 4},
    "ports": ["8000/http"],
    "env": {"PORT": "8000", "PORT_HEALTH": "8000", "HEALTH_CHECK_PATH": "/healthy"},
}


class Rig:
    """One world with two accounts, ``mine`` and ``theirs``, and what is needed to talk to it."""

    def __init__(self, *, edition: Edition = "2026-11", windows: tuple[Window, ...] = GENEROUS) -> None:
        self.world = World(seed=7)
        self.mine = self.world.add_account(Account(id="mine", keys={KEY}, quota_workers=20))
        self.theirs = self.world.add_account(Account(id="theirs", keys={OTHER_KEY}))
        self.clock = EmulatedClock(start=NOW, speed=0)
        self.rehearsal = Rehearsal(missing_images={"registry.example/flows:none"})
        self.stock = self.rehearsal.stock
        self.edition = edition
        self.app: Starlette = control_plane(
            self.world,
            self.clock,
            addresses=Addresses(queue="http://127.0.0.1:9000/v2/{id}", load_balancer="http://127.0.0.1:9000/lb/{id}"),
            edition=edition,
            rehearsal=self.rehearsal,
            windows=windows,
        )

    def move(self, seconds: float) -> None:
        """Let time pass: everything that is due happens."""
        self.clock.advance(seconds)
        self.world.advance(self.clock.now())
        for listener in list(self.world.listeners):
            listener()

    def endpoint(self, id_: str) -> Endpoint:
        """An endpoint of the world."""
        return self.world.endpoint(id_)

    @asynccontextmanager
    async def in_memory(self, key: str = KEY) -> AsyncIterator[httpx.AsyncClient]:
        """A client without sockets."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://rest.test", **self._manners(key)
        ) as client:
            yield client

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """A real server on a free port; its base URL."""
        config = uvicorn.Config(self.app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            # Else each answer would wait for the acknowledgement of its head.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await server.startup(sockets=[listening])
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                # Not uvicorn's own way, which takes a tenth of a second.
                for one in server.servers:
                    one.close()
                for connection in list(server.server_state.connections):
                    connection.shutdown()
                async with asyncio.timeout(5):
                    await asyncio.gather(*server.server_state.tasks)

    @asynccontextmanager
    async def client(self, base_url: str, key: str = KEY) -> AsyncIterator[httpx.AsyncClient]:
        """A client of a real server."""
        # No certificates are read: the server speaks plain HTTP.
        transport = httpx.AsyncHTTPTransport(verify=False)
        async with httpx.AsyncClient(transport=transport, base_url=base_url, **self._manners(key)) as client:
            yield client

    def _manners(self, key: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return {"headers": headers, "event_hooks": {"response": [_judge]}, "timeout": 10}


async def _judge(response: httpx.Response) -> None:
    """Hold one exchange against the document."""
    request = response.request
    path = request.url.path
    if not FILE.exists() or path.startswith(NOT_IN_IT):
        return
    if response.status_code in {404, 405} and response.headers["content-type"].startswith("application/problem"):
        await response.aread()
        document().check(response.json(), document().schema("ErrorResponse"), f"{request.method} {path}")
        return
    streams = response.headers.get("content-type", "").startswith("text/event-stream")
    body = b"" if streams else await response.aread()
    if response.status_code < 400:
        assert not request.content or request.headers["content-type"] == "application/json"
        document().check_request(request.method, path, request.url.query.decode(), request.content)
    document().check_answer(request.method, path, response.status_code, response.headers.get("content-type", ""), body)
