"""The emulator's composition root: makes its world, clock, engines and both planes, and serves them on one port.

    Host {id}.api.runpod.ai, or /lb/{id}/…    load-balancing endpoints
    /v2/serverless, /v2/templates, …          control plane (REST v2)
    /v2/{id}/…                                queue endpoints
    /worker/{id}/…                            where workers on Runpod's SDK ask for jobs
    /emulator/…                               the emulator's own API

On Runpod the planes have hosts of their own; here a base URL leads to each of them.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.emulator.admin import Admin
from deploy.emulator.clock import EmulatedClock
from deploy.emulator.control_plane.app import FIRST_SEGMENTS, control_plane
from deploy.emulator.control_plane.desk import Addresses
from deploy.emulator.control_plane.rehearsal import Rehearsal
from deploy.emulator.data_plane.balancer import Balancer
from deploy.emulator.data_plane.conductor import Conductor, conducting
from deploy.emulator.data_plane.connection import Breakable
from deploy.emulator.data_plane.routes import QueueRoutes
from deploy.emulator.data_plane.webhooks import Webhooks
from deploy.emulator.data_plane.worker_routes import WorkerRoutes, worker_environment
from deploy.emulator.engines.kinds import EngineMaker, ImageCommand
from deploy.emulator.model.account import Account
from deploy.emulator.model.world import World

ACCOUNT_ID = "user_emulator"
BALANCED_HOST = ".api.runpod.ai"
_BACKLOG = 2048
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an emulator is started. ``key`` is its account's API key; ``environment`` is for engines."""

    key: str = field(repr=False)
    start: float
    host: str = "127.0.0.1"
    port: int = 0
    speed: float = 1.0
    seed: int = 0
    commands: tuple[ImageCommand, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    logs: Path = Path(".tiergate/logs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """A running emulator."""

    world: World
    clock: EmulatedClock
    account: Account
    origin: str

    @property
    def base_url(self) -> str:
        """Where both planes are, as clients of Runpod want it."""
        return f"{self.origin}/v2"

    def balanced_url(self, endpoint_id: str) -> str:
        """Where a load-balancing endpoint is, by path."""
        return f"{self.origin}/lb/{endpoint_id}"


class Dispatch:
    """Sends each request to its plane."""

    def __init__(self, *, control: ASGIApp, data: ASGIApp) -> None:
        self._control = control
        self._data = data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        endpoint_id, suffix, _ = host.partition(":")[0].partition(BALANCED_HOST)
        segments = scope["path"].split("/")
        if suffix:
            path = f"/lb/{endpoint_id}{scope['path']}"
            await self._data(dict(scope) | {"path": path, "raw_path": path.encode()}, receive, send)
        elif segments[1] == "v1" or (segments[1] == "v2" and segments[2:3] and segments[2] in FIRST_SEGMENTS):
            await self._control(scope, receive, send)
        else:
            await self._data(scope, receive, send)


@asynccontextmanager
async def emulating(options: Options) -> AsyncIterator[Emulator]:
    """An emulator that serves as long as the block; at its end no child process is left."""
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server((options.host, options.port), backlog=_BACKLOG))
        # Asyncio does it only for sockets that name their protocol; each answer would wait 40 ms for another packet.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        origin = f"http://{options.host}:{listener.getsockname()[1]}"
        clock = EmulatedClock(start=options.start, speed=options.speed)
        # Real engines say for themselves when they are up; the generator says so at once.
        world = World(seed=options.seed, instant_engines=False)
        account = world.add_account(Account(id=ACCOUNT_ID, keys={options.key}))
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        # As many requests as come: an engine queues for itself. No proxy is asked for addresses of this machine.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False))
        engines = EngineMaker(
            commands=options.commands,
            environment=options.environment,
            clock=clock,
            client=client,
            logs=options.logs,
            seed=options.seed,
            job_environment=partial(worker_environment, origin),
        )
        webhooks = Webhooks(clock, client)
        stack.push_async_callback(webhooks.close)
        conductor = await stack.enter_async_context(
            conducting(Conductor(world, clock, engines, seed=options.seed, tell_end=webhooks.tell))
        )
        app = _application(conductor, origin)
        await stack.enter_async_context(_serving(app, listener))
        yield Emulator(world=world, clock=clock, account=account, origin=origin)


def _application(conductor: Conductor, origin: str) -> ASGIApp:
    addresses = Addresses(queue=f"{origin}/v2/{{id}}", load_balancer=f"{origin}/lb/{{id}}")
    rehearsal = Rehearsal()
    control = control_plane(conductor.world, conductor.clock, addresses=addresses, rehearsal=rehearsal)
    routes = [
        *rehearsal.routes(),
        *Admin(conductor.world, conductor.clock).routes(),
        *Balancer(conductor).routes(),
        *QueueRoutes(conductor).routes(),
        *WorkerRoutes(conductor).routes(),
    ]
    return Breakable(Dispatch(control=control, data=Starlette(routes=routes)))


@asynccontextmanager
async def _serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve ``app`` as long as the block; its end breaks open connections off."""
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="critical",
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Not its `serve`, which takes signals, and at its end waits for what nobody needs any more.
    await server.startup(sockets=[listener])
    try:
        yield
    finally:
        for each in server.servers:
            each.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        open_requests = list(server.server_state.tasks)
        for task in open_requests:
            task.cancel()
        await asyncio.gather(*open_requests, return_exceptions=True)
