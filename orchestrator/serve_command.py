"""What ``tiergate-orchestrator serve`` does once its arguments are understood: hosts a Flow until a signal."""

import asyncio
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

import httpx
import uvicorn

from orchestrator.app import FlowHost, HostedFlow
from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings

_GATEWAY_SECONDS_MAX = 5.0
_CLOSE_SECONDS_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeCommand:
    """One Flow, to be hosted at an address. ``drain_seconds`` is how long open runs may go on at the end."""

    target: str
    host: str
    port: int
    drain_seconds: float
    settings: Settings

    def execute(self, stderr: TextIO) -> None:
        """Serve until SIGTERM or SIGINT, let open runs end, and die of that signal.

        Raises:
            OrchestratorError: The Flow cannot be loaded, or the address cannot be listened on.
        """
        broken: list[OrchestratorError] = []

        def load() -> HostedFlow:
            # CrewAI takes seconds to import: until then the balancer hears that this worker warms up.
            from orchestrator.hosted_flow import LoadedFlow  # noqa: PLC0415 - see above

            return LoadedFlow.load(
                self.target, settings=self.settings, write=lambda line: print(line, file=stderr, flush=True)
            )

        def on_broken(error: OrchestratorError) -> None:
            broken.append(error)
            server.should_exit = True

        host = FlowHost(load=load, reachable=self._reachable, on_broken=on_broken)
        config = uvicorn.Config(
            host.app(),
            host=self.host,
            port=self.port,
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE_SECONDS_MAX,
        )
        server = DrainingServer(config, host, drain_seconds=self.drain_seconds)
        try:
            server.run()
        except SystemExit as end:
            # Uvicorn's way to say that it could not start; what was wrong it has logged nowhere.
            raise OrchestratorError(f"cannot listen on {self.host}:{self.port}: is the port in use?") from end
        if broken:
            raise broken[0]

    async def _reachable(self) -> bool:
        """Whether the gateway answers, and knows the key."""
        headers = {"authorization": f"Bearer {self.settings.key.reveal()}"}
        try:
            async with httpx.AsyncClient(timeout=_GATEWAY_SECONDS_MAX, headers=headers) as client:
                answer = await client.get(f"{self.settings.url}/models")
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK


class DrainingServer(uvicorn.Server):
    """Ends when the open runs have ended, or their time is over; at a second signal at once."""

    def __init__(self, config: uvicorn.Config, host: FlowHost, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._host = host
        self._drain_seconds = drain_seconds
        self._signal: int | None = None
        self._ends_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; called by a signal."""
        if self._host.draining:
            super().handle_exit(sig, frame)
        self._host.draining = True
        self._signal = sig

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to end; asked ten times a second."""
        if self._signal is not None and not self.should_exit:
            now = asyncio.get_running_loop().time()
            if self._ends_at is None:
                self._ends_at = now + self._drain_seconds
            if not self._host.runs or now >= self._ends_at:
                super().handle_exit(self._signal, None)
        return await super().on_tick(counter)
