"""The order in which the local system comes up, runs a Flow, reports and goes down; nothing else is here.

    ports free? → engines, one per local endpoint → each loaded? → gateway → ready? → the Flow, once
    → its report, its LLM calls, the budgets → keep serving, or stop

On every way out, also by a signal or the death of a child, all children are stopped.
"""

import asyncio
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import httpx
from pydantic import ValidationError
from rich.console import Console

from deploy.local import report, verdict
from deploy.local.answers import Balance, FlowResult
from deploy.local.gateway import GatewayRecords, http_client, wait_ready
from deploy.local.layout import DRAIN_SECONDS, Layout
from deploy.local.ports import require_free
from deploy.local.processes import Finished, Fleet, describe_status, fleet, log_tail
from deploy.local.programs import Programs
from deploy.settings import ChildEnvironments

FLOW_LOG = "flow"
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each thing may take, in seconds."""

    engine: float = 120.0
    """Until an engine has loaded its model."""
    gateway: float = 60.0
    """Until the gateway is ready, its store included."""
    flow: float = 1800.0
    """For one run of the Flow."""
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
        NotReady: An engine or the gateway did not come up in time.
        ProcessDied: An engine or the gateway ended by itself.
        GatewayUnreadable: The gateway did not hand out its records.
    """
    require_free(run.layout.ports)
    async with fleet(logs=run.layout.logs, grace_seconds=run.patience.stop) as children, http_client() as client:
        await _start_engines(run, children, client, voices.say)
        await _start_gateway(run, children, client, voices.say)
        records = GatewayRecords(client, origin=run.layout.origin, key=run.environments.demo_key)
        status = await _run_and_report(run, children, records, voices)
        if not run.once:
            on_serving(status)
            voices.show.print(report.serving(_serving(run)), soft_wrap=True)
            await asyncio.get_running_loop().create_future()
        voices.say("stopping everything")
    voices.say("stopped")
    return status


async def _start_engines(run: LocalRun, children: Fleet, client: httpx.AsyncClient, say: Callable[[str], None]) -> None:
    started = []
    for engine in run.layout.engines:
        say(
            f"{engine.name}: loading {engine.model} for tier {engine.tier} on 127.0.0.1:{engine.port} "
            f"({engine.slots} slots, context {engine.context} tokens)"
        )
        command = (*run.programs.engine, *engine.arguments)
        started.append((engine, await children.start(engine.name, command, run.environments.engine)))
    for engine, child in started:
        took = await wait_ready(client, child, engine.health_url, seconds_max=run.patience.engine, say=say)
        say(f"{engine.name}: ready after {took:.1f} s")


async def _start_gateway(run: LocalRun, children: Fleet, client: httpx.AsyncClient, say: Callable[[str], None]) -> None:
    say(f"gateway: starting on {run.layout.origin} with {run.layout.tiers_file}")
    command = (*run.programs.gateway, *run.layout.gateway_arguments)
    child = await children.start("gateway", command, run.environments.gateway)
    url = f"{run.layout.origin}/readyz"
    took = await wait_ready(client, child, url, seconds_max=run.patience.gateway, say=say)
    say(f"gateway: ready after {took:.1f} s")


async def _run_and_report(run: LocalRun, children: Fleet, records: GatewayRecords, voices: Voices) -> int:
    run_id = str(uuid4())
    before = await records.balances()
    voices.say(f"flow: running {run.flow} as run {run_id}")
    finished = await _run_flow(run, children, run_id, voices.say)
    result = _flow_result(finished)
    after = await _settled_balances(records, before, run.patience.settle)
    calls = await records.calls(run_id)
    if result is not None:
        voices.show.print(report.flow_report(result))
    voices.show.print(report.calls_table(calls, voices.show.width))
    others = [b for b in after if b.budget in run.layout.run_budgets and b.owner != run_id]
    voices.show.print(report.budgets_table([b for b in after if b not in others]))
    failure = _flow_failure(finished, result, run)
    found = verdict.problems(flow_failure=failure, calls=calls, before=before, after=after)
    for problem in found:
        voices.say(f"problem: {problem}")
    return 1 if found else 0


async def _run_flow(run: LocalRun, children: Fleet, run_id: str, say: Callable[[str], None]) -> Finished | None:
    """The Flow's end, or ``None`` where it took too long."""
    command = (*run.programs.orchestrator, *_flow_arguments(run), "--run-id", run_id, "--output", "json")
    try:
        async with asyncio.timeout(run.patience.flow):
            return await children.run(
                FLOW_LOG, command, run.environments.orchestrator, on_line=lambda line: say(f"flow: {line}")
            )
    except TimeoutError:
        return None


def _flow_arguments(run: LocalRun) -> tuple[str, ...]:
    return ("run", run.flow, "--gateway", run.layout.base_url)


def _flow_result(finished: Finished | None) -> FlowResult | None:
    """What the orchestrator printed, or ``None`` where that is no result."""
    if finished is None:
        return None
    try:
        return FlowResult.model_validate_json(finished.stdout)
    except ValidationError:
        return None


def _flow_failure(finished: Finished | None, result: FlowResult | None, run: LocalRun) -> str:
    log = run.layout.logs / f"{FLOW_LOG}.log"
    if finished is None:
        return f"the Flow took longer than {run.patience.flow:g} s and was stopped; its log: {log}"
    if finished.status == 0 and result is not None:
        return ""
    if finished.status == 0:
        what = "the orchestrator did not print a result"
    else:
        what = f"the Flow failed ({describe_status(finished.status)})"
    return "\n  ".join([f"{what}; the end of its log {log}:", *log_tail(log).splitlines()])


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


def _serving(run: LocalRun) -> report.Serving:
    again = shlex.join([*run.programs.orchestrator, *_flow_arguments(run)])
    return report.Serving(
        origin=run.layout.origin,
        key=run.environments.demo_key,
        model=run.layout.example_model,
        again=f"TIERGATE_KEY={shlex.quote(run.environments.demo_key)} {again}",
        logs=str(run.layout.logs),
    )
