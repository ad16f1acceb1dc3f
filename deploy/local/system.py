"""The order in which the local system comes up, runs a Flow, reports and goes down; nothing else is here.

    ports free? → the emulator → endpoints on it, planned and applied, all cold → the tier map with their addresses
    → gateway → ready? → the Flow, once, through its load balancer → its report, its LLM calls, the budgets
    → verified from the control plane up, which is after the Flow so that the Flow meets everything cold
    → keep serving, or stop

On every way out, also by a signal or the death of a child, all children are stopped; the emulator stops its workers.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import httpx
from rich.console import Console

from deploy.errors import BadUsage
from deploy.local import report, verdict
from deploy.local.answers import Balance
from deploy.local.deployment import deploy
from deploy.local.emulator import KEY, STATE_PATH, Emulator, emulator_arguments
from deploy.local.endpoints import IDLE_SECONDS, flows_body
from deploy.local.flow_call import FlowEnd, call_flow
from deploy.local.gateway import GatewayRecords, http_client, wait_ready
from deploy.local.layout import DRAIN_SECONDS, Layout, with_real_addresses
from deploy.local.ports import require_free
from deploy.local.processes import Fleet, fleet
from deploy.local.programs import Programs
from deploy.local.proof import Proven, prove
from deploy.local.watch import Watch
from deploy.settings import ChildEnvironments
from deploy.verify.shown import summary

FLOWS_ENDPOINT = "flows"
COLD_SECONDS = 4.0
"""A cold start that takes minutes on Runpod is to be seen here, not to be borne."""
COLD_SECONDS_MAX = 400.0
"""Beyond seven minutes Runpod takes a worker for a dead one."""
_POLL_SECONDS = 0.1
_DEATH_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each thing may take, in seconds."""

    emulator: float = 60.0
    """Until the emulator is there."""
    gateway: float = 60.0
    """Until the gateway is ready, its store included."""
    flow: float = 900.0
    """For one run of the Flow; a load balancer ends one request of it after 5.5 minutes."""
    worker: float = 120.0
    """Until a tier's worker takes a request, as it is verified."""
    settle: float = 5.0
    """Until what a finished run held on its budgets is settled."""
    stop: float = DRAIN_SECONDS + 10.0
    """Between asking a child to end and forcing it; the gateway needs more than it lets open answers have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    """What one start of the local system is to do."""

    layout: Layout
    programs: Programs
    environments: ChildEnvironments
    flow: str
    """The Flow as the orchestrator names it: ``path/to/flow.py:Class``."""
    once: bool
    patience: Patience = Patience()
    cold_seconds: float = COLD_SECONDS
    """How long a cold start takes at least: half of it the image's pull, half of it the load."""
    seed: int = 0
    """Of the emulator's dice, which its ids come from. A fresh one for each start: the gateway's store remembers which
    endpoints were awake, by their addresses."""

    @property
    def flow_name(self) -> str:
        """The Flow's class."""
        return self.flow.rpartition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voices:
    """Where the system speaks: ``say`` gets progress and problems, ``show`` the report."""

    say: Callable[[str], None]
    show: Console


async def run_local(run: LocalRun, voices: Voices, *, on_serving: Callable[[int], None]) -> int:
    """Bring the system up, run the Flow once, report; then stop (``once``) or serve until cancelled.

    ``on_serving`` is called when all is done but serving: a cancellation before that interrupts, one after it
    is the ordinary end.

    Returns:
        0 if all went well, 1 if the run had problems, each of which was said.

    Raises:
        PortsTaken: Before anything was started.
        BadUsage: The tier map's text does not lead to the emulator's endpoints.
        NotReady: The emulator or the gateway did not come up in time.
        ProcessDied: The emulator, the gateway or, while the Flow runs, a worker ended by itself.
        EmulatorRefused: The emulator did not make an endpoint, or did not tell its state.
        ControlPlaneError: Its control plane did not answer.
        StateUnreadable: The state of what was deployed is gone.
        GatewayUnreadable: The gateway did not hand out its records.
    """
    require_free(run.layout.ports)
    async with fleet(logs=run.layout.logs, grace_seconds=run.patience.stop) as children, http_client() as client:
        emulator = Emulator(client, origin=run.layout.emulator_origin)
        await _start_emulator(run, children, client, voices.say)
        flows_url = await _make_endpoints(run, emulator, voices.say)
        flow_url = f"{flows_url}/flows/{run.flow_name}"
        await _start_gateway(run, children, client, voices.say)
        records = GatewayRecords(client, origin=run.layout.origin, key=run.environments.demo_key)
        went_well = await _run_and_report(run, _Flow(client, emulator, flow_url), records, voices)
        serves = await _verify(run, flows_url, voices)
        status = 0 if went_well and serves else 1
        if not run.once:
            on_serving(status)
            voices.show.print(report.serving(_serving(run, flow_url)), soft_wrap=True)
            await asyncio.get_running_loop().create_future()
        voices.say("stopping everything")
    voices.say("stopped")
    return status


async def _start_emulator(
    run: LocalRun, children: Fleet, client: httpx.AsyncClient, say: Callable[[str], None]
) -> None:
    layout = run.layout
    say(f"emulator: starting Runpod's stand-in on {layout.emulator_origin}")
    hosting = (*run.programs.orchestrator, "serve", run.flow, "--gateway", layout.base_url)
    arguments = emulator_arguments(
        port=layout.emulator_port,
        seed=run.seed,
        state_directory=layout.state_directory,
        engine=run.programs.engine,
        flows=hosting,
    )
    for old in layout.logs.glob("worker-*.log"):
        old.unlink()
    child = await children.start("emulator", (*run.programs.emulator, *arguments), run.environments.emulator)
    url = f"{layout.emulator_origin}{STATE_PATH}"
    took = await wait_ready(client, child, url, seconds_max=run.patience.emulator, say=say)
    say(f"emulator: ready after {took:.1f} s")


async def _make_endpoints(run: LocalRun, emulator: Emulator, say: Callable[[str], None]) -> str:
    """Deploy every endpoint, write the tier map with their addresses; returns where the orchestrator's paths begin."""
    layout = run.layout
    cold = {"pull_seconds": run.cold_seconds / 2, "load_seconds": run.cold_seconds / 2}
    made = await deploy(
        [one.deployment for one in layout.emulated],
        key=KEY,
        origin=layout.emulator_origin,
        state_file=layout.fleet_state_file,
        say=say,
    )
    addresses: dict[str, str] = {}
    for emulated in layout.emulated:
        one, deployed = emulated.deployment, made[emulated.deployment.key]
        await emulator.slow_down(deployed.id, **cold)
        if emulated.address:
            addresses[emulated.address] = deployed.url
        say(
            f"{one.key}: {one.model} on {one.gpus[0].pool}, {one.slots} requests per worker, "
            f"no worker awake: {deployed.url}"
        )
    _write_tier_map(layout, addresses)
    environment = {
        "TIERGATE_URL": layout.base_url,
        "TIERGATE_KEY": run.environments.demo_key,
        "TIERGATE_EDGE_URL": f"{layout.emulator_origin}/lb/{{endpoint}}",
        "RUNPOD_AI_API_KEY": KEY,
    }
    flows = await emulator.create(flows_body(FLOWS_ENDPOINT, environment), **cold)
    say(f"{FLOWS_ENDPOINT}: {run.flow_name} on CPU workers behind a load balancer, none awake: {flows.base_url}")
    return flows.base_url


def _write_tier_map(layout: Layout, addresses: Mapping[str, str]) -> None:
    written = layout.tiers_file.read_text(encoding="utf-8")
    text = with_real_addresses(written, addresses)
    missing = [real for real in addresses.values() if real not in text]
    if missing:
        raise BadUsage(
            f"{layout.tiers_file} does not say its endpoints' URLs in one piece",
            remedy="write each URL as it is, without anchors, escapes or folding",
        )
    layout.state_directory.mkdir(parents=True, exist_ok=True)
    layout.written_tiers_file.write_text(text, encoding="utf-8")


async def _start_gateway(run: LocalRun, children: Fleet, client: httpx.AsyncClient, say: Callable[[str], None]) -> None:
    say(f"gateway: starting on {run.layout.origin} with {run.layout.written_tiers_file}")
    command = (*run.programs.gateway, *run.layout.gateway_arguments)
    child = await children.start("gateway", command, run.environments.gateway)
    url = f"{run.layout.origin}/readyz"
    took = await wait_ready(client, child, url, seconds_max=run.patience.gateway, say=say)
    say(f"gateway: ready after {took:.1f} s")


@dataclass(frozen=True, slots=True)
class _Flow:
    """The Flow behind its load balancer."""

    client: httpx.AsyncClient
    emulator: Emulator
    url: str


async def _run_and_report(run: LocalRun, flow: _Flow, records: GatewayRecords, voices: Voices) -> bool:
    """Whether the Flow and its calls went well; each problem is said."""
    run_id = str(uuid4())
    before = await records.balances()
    voices.say(f"flow: calling {flow.url} as run {run_id}")
    watch = Watch(flow.emulator, logs=run.layout.logs, say=voices.say, flow=FLOWS_ENDPOINT, run=run_id)
    async with _watching(watch):
        end = await call_flow(flow.client, flow.url, run=run_id, seconds_max=run.patience.flow, say=voices.say)
    if end.result is None:
        # Who talks to a worker often sees its end before the emulator tells of it, and the end explains more.
        with suppress(TimeoutError):
            async with asyncio.timeout(_DEATH_SECONDS):
                await watch.watch()
    after = await _settled_balances(records, before, run.patience.settle)
    calls = await records.calls(run_id)
    if end.result is not None:
        voices.show.print(report.flow_report(end.result))
    voices.show.print(report.calls_table(calls, voices.show.width))
    others = [b for b in after if b.budget in run.layout.run_budgets and b.owner != run_id]
    voices.show.print(report.budgets_table([b for b in after if b not in others]))
    found = verdict.problems(flow_failure=_failure(run, end), calls=calls, before=before, after=after)
    for problem in found:
        voices.say(f"problem: {problem}")
    return not found


async def _verify(run: LocalRun, flows_url: str, voices: Voices) -> bool:
    """Whether every layer serves; each finding is shown, and what fails is said, too."""
    layout = run.layout
    voices.say("verify: asking each layer")
    proven = Proven(
        emulator=layout.emulator_origin,
        key=KEY,
        gateway=layout.origin,
        gateway_key=run.environments.demo_key,
        flows=flows_url,
    )
    findings, passed = await prove(
        [one.deployment for one in layout.emulated],
        proven,
        state_file=layout.fleet_state_file,
        worker_seconds=run.patience.worker,
        say=voices.say,
    )
    voices.show.print(report.verified(findings), soft_wrap=True)
    if not passed:
        voices.say(f"problem: verify: {summary(findings)}")
    return passed


@asynccontextmanager
async def _watching(watch: Watch) -> AsyncIterator[None]:
    """Watch as long as the block runs, and once more at its end."""
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(watch.watch())
            yield
            task.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    await watch.look()


def _failure(run: LocalRun, end: FlowEnd) -> str:
    return f"{end.failure}\n  its worker's log is in {run.layout.logs}" if end.failure else ""


async def _settled_balances(
    records: GatewayRecords, before: Sequence[Balance], seconds_max: float
) -> tuple[Balance, ...]:
    """The balances when the run's calls are settled, which may be a moment after their last byte."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds_max
    while True:
        balances = await records.balances()
        if not verdict.unsettled(before, balances) or clock() >= deadline:
            return balances
        await asyncio.sleep(_POLL_SECONDS)


def _serving(run: LocalRun, flow_url: str) -> report.Serving:
    return report.Serving(
        origin=run.layout.origin,
        key=run.environments.demo_key,
        model=run.layout.example_model,
        again=f"curl {shlex.quote(flow_url)} -H 'authorization: Bearer {KEY}' -d '{{}}'",
        emulator=f"{run.layout.emulator_origin}{STATE_PATH}",
        asleep_after=IDLE_SECONDS,
        logs=str(run.layout.logs),
    )
