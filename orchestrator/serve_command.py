"""What ``tiergate-orchestrator serve`` does once its arguments are understood: hosts Flows until a signal."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import gethostname
from types import FrameType
from typing import TextIO
from uuid import uuid4

import httpx
import uvicorn

from orchestrator import clock
from orchestrator.app import Flow, FlowHost, HostOptions, Makings, Runner
from orchestrator.errors import OrchestratorError
from orchestrator.host.dispatch import Dispatch, LocalDispatch
from orchestrator.host.edge import TOKEN_HEADER
from orchestrator.host.flow_loop import FlowLoop
from orchestrator.host.keep_alive import Business, keep_alive
from orchestrator.host.metrics import HostMetrics
from orchestrator.host.settings import HostSettings
from orchestrator.host.warm_up import KeyRefused, until_reachable
from orchestrator.runs.open_store import OpenRunStore, open_store
from orchestrator.runs.store import RunStore
from orchestrator.settings import Secret, Settings, bind
from orchestrator.windows import WINDOWS

_GATEWAY_SECONDS_MAX = 5.0
_CLOSE_SECONDS_MAX = 3
# Longer than a balancer keeps a connection that it does not use: it is not to send a request into one that just closed.
_KEEP_ALIVE_SECONDS = 620
_REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeCommand:
    """Flows, to be hosted at an address.

    ``drain_seconds`` is how long open runs may go on at the end, ``runs_max`` how many there may be at once.
    """

    targets: tuple[str, ...]
    host: str
    port: int
    drain_seconds: float
    runs_max: int
    settings: Settings
    host_settings: HostSettings

    def execute(self, stderr: TextIO) -> None:
        """Serve until SIGTERM or SIGINT, let open runs end or go, and die of that signal.

        Raises:
            OrchestratorError: It cannot warm up, or the address cannot be listened on.
        """
        broken: list[OrchestratorError] = []

        def on_broken(error: OrchestratorError) -> None:
            broken.append(error)
            server.should_exit = True

        host = self.make_host(lambda line: print(line, file=stderr, flush=True), on_broken)
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
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
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

    def make_host(self, say: Callable[[str], object], on_broken: Callable[[OrchestratorError], None]) -> FlowHost:
        """The host, with everything it is made of. CrewAI is imported when it warms up."""
        shown = self.host_settings
        owner = shown.worker or f"{gethostname()}-{uuid4()}"
        metrics = HostMetrics()
        makings = Makings(
            load=partial(_load, self.targets),
            first_run=_first_run,
            open_store=partial(_open_store, self.host_settings),
            make_runner=partial(_make_runner, owner, secrets=self._secrets()),
            make_dispatch=partial(_make_dispatch, shown.runs, owner, say),
            reachable=lambda: until_reachable(self._unreachable),
            last=_close_clients,
            stay_awake=partial(self._stay_awake, say=say),
        )
        return FlowHost(
            makings,
            flow_loop=FlowLoop(
                within=partial(_flows_context, self.settings, metrics, say), observe_wait=metrics.executor_wait
            ),
            metrics=metrics,
            options=HostOptions(
                token=shown.token,
                worker=shown.worker,
                affine=not shown.shared,
                runs_max=self.runs_max,
                runs_days=shown.runs_days,
            ),
            unix=clock.unix,
            say=say,
            on_broken=on_broken,
        )

    def _secrets(self) -> tuple[Secret, ...]:
        """What must never be kept of a run."""
        shown = self.host_settings
        known = (self.settings.key, shown.token, shown.edge_key, shown.runs)
        return tuple(each for each in known if isinstance(each, Secret))

    async def _unreachable(self) -> str:
        """Why the gateway cannot be used, empty where it can. Raises ``KeyRefused`` where waiting will not help."""
        headers = {"authorization": f"Bearer {self.settings.key.reveal()}"}
        try:
            async with httpx.AsyncClient(timeout=_GATEWAY_SECONDS_MAX, headers=headers) as client:
                answer = await client.get(f"{self.settings.url}/models")
        except httpx.HTTPError as error:
            return f"no answer from {self.settings.url}: {type(error).__name__}"
        if answer.status_code in _REFUSED:
            raise KeyRefused(f"{self.settings.url} refuses the key ({answer.status_code}). Set TIERGATE_KEY.")
        if answer.status_code != httpx.codes.OK:
            return f"{self.settings.url} answers {answer.status_code}"
        with suppress(ValueError):
            WINDOWS.learn(self.settings, answer.json())
        return ""

    async def _stay_awake(self, business: Business, *, say: Callable[[str], object]) -> None:
        """Hold a request to this worker while it has runs; nothing where no balancer is known."""
        shown = self.host_settings
        if not (shown.edge_url and shown.worker):
            return
        headers: dict[str, str] = {}
        if shown.edge_key is not None:
            headers["authorization"] = f"Bearer {shown.edge_key.reveal()}"
        if shown.token is not None:
            headers[TOKEN_HEADER] = shown.token.reveal()
        await keep_alive(business, origin=shown.edge_url, worker=shown.worker, headers=headers, say=say)


class DrainingServer(uvicorn.Server):
    """Ends when the open runs have ended or were let go; at a second signal at once."""

    def __init__(self, config: uvicorn.Config, host: FlowHost, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._host = host
        self._drain_seconds = drain_seconds
        self._signal: int | None = None
        self._drained: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; called by a signal."""
        if self._host.draining:
            super().handle_exit(sig, frame)
        self._host.draining = True
        self._signal = sig

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to end; asked ten times a second."""
        if self._signal is not None and not self.should_exit:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_task(self._host.drained(self._drain_seconds))
            if self._drained.done():
                super().handle_exit(self._signal, None)
        return await super().on_tick(counter)


# CrewAI takes seconds to import: until then the balancer hears that this worker warms up. So what needs it is imported
# where it is called.


def _load(targets: tuple[str, ...]) -> Mapping[str, Flow]:
    from orchestrator.hosted_flow import load_flows  # noqa: PLC0415 - see above
    from orchestrator.quiet import keep_no_task_outputs, use_process_locks  # noqa: PLC0415 - see above

    use_process_locks()
    keep_no_task_outputs()
    return load_flows(targets)


async def _first_run() -> None:
    from orchestrator.host.first_run import calm_collector, first_run  # noqa: PLC0415 - see above

    await first_run()
    calm_collector()


async def _close_clients() -> None:
    from orchestrator.client import close_async_clients  # noqa: PLC0415 - see above

    await close_async_clients()


@contextmanager
def _flows_context(settings: Settings, metrics: HostMetrics, say: Callable[[str], object]) -> Iterator[None]:
    """What holds for every run, set in the context that all of them begin with."""
    from crewai.events.stream_context import add_stream_sink  # noqa: PLC0415 - see above

    from orchestrator.host.call_layers import CallLayers  # noqa: PLC0415 - see above
    from orchestrator.quiet import silence_console  # noqa: PLC0415 - see above
    from orchestrator.warming.announced import announced  # noqa: PLC0415 - see above

    silence_console()
    add_stream_sink(CallLayers(metrics))
    with bind(settings), announced(settings, say=say):
        yield


async def _open_store(settings: HostSettings) -> OpenRunStore:
    place = settings.runs.reveal() if isinstance(settings.runs, Secret) else str(settings.runs)
    return await asyncio.to_thread(open_store, place)


def _make_dispatch(
    runs: Secret | Path, worker: str, say: Callable[[str], object], flows: Mapping[str, Flow]
) -> Dispatch:
    if isinstance(runs, Path):
        return LocalDispatch()
    # The engine is loaded by those alone who need it.
    from orchestrator.host.run_stream import RunStream  # noqa: PLC0415 - see above
    from orchestrator.host.stream_dispatch import StreamDispatch  # noqa: PLC0415 - see above

    return StreamDispatch(RunStream(runs.reveal(), flows=flows, worker=worker), say=say)


def _make_runner(owner: str, store: RunStore, flows: Mapping[str, Flow], *, secrets: tuple[Secret, ...]) -> Runner:
    from orchestrator.hosted_flow import HostedFlow  # noqa: PLC0415 - see above
    from orchestrator.runs.runner import Runner as DurableRunner  # noqa: PLC0415 - see above

    classes = {name: flow.flow_class for name, flow in flows.items() if isinstance(flow, HostedFlow)}
    return DurableRunner(store=store, flows=classes, owner=owner, unix=clock.unix, secrets=secrets)
