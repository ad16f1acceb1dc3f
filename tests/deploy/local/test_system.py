"""The local system as a whole, with doubles in place of its programs."""

import asyncio
import io
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from deploy.errors import GatewayUnreadable, NotReady, PortsTaken, ProcessDied
from deploy.local.layout import layout_for
from deploy.local.programs import Programs
from deploy.local.system import LocalRun, Patience, Voices, run_local
from deploy.settings import Settings, child_environments
from tests.doubles.process_ids import Pids
from tiers.tiermap import TierMap

pytestmark = pytest.mark.integration

QUICK = Patience(engine=10, gateway=10, flow=10, settle=0.2, stop=5)


class Trial:
    """One local system made of doubles, and all that it said."""

    def __init__(self, run: LocalRun) -> None:
        self.run = run
        self.said: list[str] = []
        self.shown = io.StringIO()
        self.serving: list[int] = []
        self.serves = asyncio.Event()

    async def go(self) -> int:
        """Run it as the command would."""
        voices = Voices(say=self.said.append, show=Console(file=self.shown, width=200))
        return await run_local(self.run, voices, on_serving=self._on_serving)

    def _on_serving(self, status: int) -> None:
        self.serving.append(status)
        self.serves.set()


MakeTrial = Callable[..., Trial]


@pytest.fixture
def make_trial(
    tmp_path: Path,
    pids: Pids,
    double_programs: Programs,
    free_ports: Callable[[int], list[int]],
    make_tier_map: Callable[..., TierMap],
) -> MakeTrial:
    def make(flow: str = "Works", *, once: bool = True, patience: Patience = QUICK, **behaviour: str) -> Trial:
        gateway_port, *engine_ports = free_ports(3)
        layout = layout_for(
            make_tier_map(*engine_ports),
            tiers_file=tmp_path / "tiers.yaml",
            state_directory=tmp_path / "state",
            gateway_port=gateway_port,
        )
        doubles = {f"DOUBLE_{name.upper()}": value for name, value in behaviour.items()}
        environments = child_environments(
            Settings(environment={"DOUBLE_PIDS": str(pids.folder), **doubles}),
            gateway_url=layout.base_url,
            local_secrets=layout.local_secrets,
            all_secrets=layout.all_secrets,
        )
        return Trial(
            LocalRun(
                layout=layout,
                programs=double_programs,
                environments=environments,
                flow=f"flow.py:{flow}",
                once=once,
                patience=patience,
            )
        )

    return make


async def test_a_run_that_goes_well_is_reported_and_leaves_nothing_behind(make_trial: MakeTrial, pids: Pids) -> None:
    """Report, calls and budgets are shown, those of other runs not; every process has ended."""
    trial = make_trial()
    assert await trial.go() == 0
    shown = trial.shown.getvalue()
    assert "The customer gets a refund." in shown
    assert "triage" in shown
    assert "billing" in shown
    assert "4.999068 USD" in shown
    assert shown.count("per-run") == 1
    assert "run-of-yesterday" not in shown
    assert "Serving" not in shown
    assert trial.serving == []
    assert len(pids.all()) == 5
    await pids.gone()


async def test_progress_says_what_is_waited_for_and_how_long_it_took(make_trial: MakeTrial) -> None:
    trial = make_trial()
    await trial.go()
    starts = [
        "engine-routing-0: loading small-routing for tier routing on 127.0.0.1:",
        "engine-reasoning-0: lo",
    ]
    starts += [
        "engine-routing-0: ready after ",
        "engine-reasoning-0: ready after ",
        "gateway: starting on http",
    ]
    starts += [
        "gateway: ready after ",
        "flow: running flow.py:Works as run ",
        "flow: step classify: agent tri",
    ]
    starts += ["flow: step classify: agent billing", "stopping everything", "stopped"]
    assert [line.startswith(start) for line, start in zip(trial.said, starts, strict=True)] == [True] * 11


async def test_without_once_it_serves_until_it_is_cancelled(make_trial: MakeTrial, pids: Pids) -> None:
    """It says where it serves and how to go on, and everything is stopped when the command is told to end."""
    trial = make_trial(once=False)
    async with asyncio.TaskGroup() as group:
        work = group.create_task(trial.go())
        async with asyncio.timeout(20):
            await trial.serves.wait()
        assert len(pids.alive()) == 4
        work.cancel()
    origin, key = trial.run.layout.origin, trial.run.environments.demo_key
    shown = trial.shown.getvalue()
    assert f"{origin}/docs" in shown
    assert f"curl {origin}/v1/chat/completions -H 'authorization: Bearer {key}'" in shown
    assert f"TIERGATE_KEY={key} {trial.run.programs.orchestrator[0]} run flow.py:Works" in shown
    assert trial.serving == [0]
    await pids.gone()


async def test_a_flow_that_fails_is_a_problem_with_the_flows_own_words(make_trial: MakeTrial, pids: Pids) -> None:
    """Its calls are shown all the same."""
    trial = make_trial("Fails")
    assert await trial.go() == 1
    (problem,) = [line for line in trial.said if line.startswith("problem: ")]
    assert "the Flow failed (exit status 1)" in problem
    assert "error: the budget routing-hourly is spent" in problem
    assert "2 calls" in trial.shown.getvalue()
    await pids.gone()


@pytest.mark.parametrize(
    ("flow", "behaviour", "problem"),
    [
        ("Silent", {}, "problem: the gateway recorded no LLM call of this run"),
        ("Mute", {}, "problem: the orchestrator did not print a result"),
        (
            "Works",
            {"gateway": "fail"},
            "problem: LLM call req-1 of billing on tier routing ended as upstream_err",
        ),
        ("Works", {"gateway": "hold"}, "problem: budget routing-hourly of routing still holds 1000"),
    ],
)
async def test_what_the_gateway_recorded_can_fail_a_run(
    make_trial: MakeTrial, flow: str, behaviour: dict[str, str], problem: str
) -> None:
    """A Flow that ended well is not enough: its calls must be recorded, have gone well and be settled."""
    trial = make_trial(flow, **behaviour)
    assert await trial.go() == 1
    assert any(line.startswith(problem) for line in trial.said), trial.said


async def test_a_flow_that_takes_too_long_is_stopped(make_trial: MakeTrial, pids: Pids) -> None:
    trial = make_trial("Hangs", patience=replace(QUICK, flow=1))
    assert await trial.go() == 1
    assert any(line.startswith("problem: the Flow took longer than 1 s") for line in trial.said)
    await pids.gone()


@pytest.mark.parametrize(
    ("behaviour", "message", "tail"),
    [
        ({"engine": "die"}, "engine-routing-0 ended by itself (exit status 3)", "the model file is broken"),
        ({"gateway": "die"}, "gateway ended by itself (exit status 4)", "cannot open the store"),
        ({"gateway": "die-on-call"}, "gateway ended by itself (exit status 7)", "out of memory"),
        (
            {"gateway": "die-on-report"},
            "gateway ended by itself (exit status 8)",
            "the disk is full",
        ),
        ({"gateway": "die-after-report"}, "gateway ended by itself (exit status 9)", "the store is gone"),
    ],
)
async def test_a_child_that_dies_ends_the_system_with_the_tail_of_its_log(
    make_trial: MakeTrial, pids: Pids, behaviour: dict[str, str], message: str, tail: str
) -> None:
    """While it starts, while the Flow runs and while it serves alike; the other children are stopped."""
    trial = make_trial(once=False, **behaviour)
    with pytest.raises(ProcessDied) as caught:
        async with asyncio.timeout(20):
            await trial.go()
    assert (caught.value.message, caught.value.log_tail.splitlines()[-1]) == (message, tail)
    assert str(trial.run.layout.logs) in caught.value.remedy
    await pids.gone()


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (
            {"engine": "load"},
            r"engine-routing-0 was not ready within 1 s: .*/health last answered status 503",
        ),
        (
            {"gateway": "unready"},
            r"gateway was not ready within 1 s: .*/readyz last answered status 503.*store",
        ),
    ],
)
async def test_a_child_that_does_not_get_ready_in_time_ends_the_system(
    make_trial: MakeTrial, pids: Pids, behaviour: dict[str, str], message: str
) -> None:
    trial = make_trial(patience=replace(QUICK, engine=1, gateway=1), **behaviour)
    with pytest.raises(NotReady, match=message):
        await trial.go()
    await pids.gone()


async def test_records_that_cannot_be_read_end_the_system(make_trial: MakeTrial, pids: Pids) -> None:
    with pytest.raises(GatewayUnreadable, match="answered 500"):
        await make_trial(gateway="refuse").go()
    await pids.gone()


async def test_nothing_starts_while_a_port_is_taken(make_trial: MakeTrial, pids: Pids) -> None:
    trial = make_trial()
    taken = trial.run.layout.engines[1].port
    message = f"port {taken}, which the engine of endpoint reasoning/0 needs"
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(PortsTaken, match=message):
        await trial.go()
    assert pids.all() == []
    assert not trial.run.layout.logs.exists()


async def test_a_child_that_ignores_the_request_to_end_is_forced(make_trial: MakeTrial, pids: Pids) -> None:
    trial = make_trial(engine="stubborn", patience=replace(QUICK, stop=0.3))
    assert await trial.go() == 0
    await pids.gone()
