"""The local system as a whole, with doubles in place of its programs."""

import asyncio
import gc
import io
import socket
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from deploy.errors import BadUsage, GatewayUnreadable, NotReady, PortsTaken, ProcessDied
from deploy.local.emulator import KEY
from deploy.local.layout import layout_for
from deploy.local.programs import Programs
from deploy.local.system import LocalRun, Patience, Voices, run_local
from deploy.settings import Settings, child_environments
from tests.doubles.process_ids import Pids
from tiers.load import load, load_fleet

pytestmark = pytest.mark.integration

QUICK = Patience(emulator=20, gateway=10, flow=20, settle=0.2, stop=5)


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


@pytest.fixture(autouse=True)
def drop_connections_made_in_vain() -> Iterator[None]:
    """Anyio lets go of a connection that was made in the very turn in which its task is cancelled, as a death in the
    system cancels the one that is just asking: it is closed as garbage, which is an error in tests, of whichever is
    running then.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def make_trial(
    tmp_path: Path,
    pids: Pids,
    double_programs: Programs,
    free_ports: Callable[[int], list[int]],
    tier_map_text: Callable[[int], str],
) -> MakeTrial:
    def make(flow: str = "Works", *, once: bool = True, patience: Patience = QUICK, **behaviour: str) -> Trial:
        gateway_port, emulator_port = free_ports(2)
        tiers_file = tmp_path / "tiers.yaml"
        tiers_file.write_text(tier_map_text(emulator_port), encoding="utf-8")
        layout = layout_for(
            *load_fleet(tiers_file.read_bytes(), file=str(tiers_file)),
            tiers_file=tiers_file,
            state_directory=tmp_path / "state",
            gateway_port=gateway_port,
        )
        doubles = {f"DOUBLE_{name.upper()}": value for name, value in behaviour.items()}
        environments = child_environments(
            Settings(environment={"DOUBLE_PIDS": str(pids.folder), **doubles}),
            emulator_key=KEY,
            emulator_secrets=layout.emulator_secrets,
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
                cold_seconds=0,
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
    assert "4.50  4.50" in shown
    assert "4.999068 USD" in shown
    assert shown.count("per-run") == 1
    assert "run-of-yesterday" not in shown
    assert "Serving" not in shown
    assert trial.serving == []
    assert "ok      endpoint reasoning/0: keeps to a JSON schema" in shown
    assert "ok      gateway routing: answers (Paris." in shown
    assert shown.rstrip().endswith("15 passed, 0 failed, 2 skipped")
    assert "runs to its end" not in shown, "the Flow has just been"
    assert len(pids.all()) == 5
    await pids.gone()


async def test_progress_says_what_is_waited_for_and_how_long_it_took(make_trial: MakeTrial) -> None:
    trial = make_trial()
    await trial.go()
    starts = [
        "emulator: starting Runpod's stand-in on http://127.0.0.1:",
        "emulator: ready after ",
        "plan: 2 to make; on Runpod it would cost $9.32 an hour at most",
        "routing/0: small-routing on ADA_24, 2 requests per worker, no worker awake: http",
        "reasoning/0: small-reasoning on AMPERE_80, 30 requests per worker, no worker awake: http",
        "flows: Works on CPU workers behind a load balancer, none awake: http",
        "gateway: starting on http",
        "gateway: ready after ",
        "flow: calling http",
    ]
    assert [line.startswith(start) for line, start in zip(trial.said, starts, strict=False)] == [True] * 9, trial.said
    rest = trial.said[9:]
    assert [line for line in rest if line.startswith("flow:")][-2:] == [
        "flow: step classify: agent triage",
        "flow: step classify: agent billing",
    ]
    assert "flows: its worker serves" in rest
    assert rest[-2:] == ["stopping everything", "stopped"]


async def test_the_gateway_gets_the_tier_map_with_the_addresses_on_the_emulator(make_trial: MakeTrial) -> None:
    trial = make_trial()
    await trial.go()
    layout = trial.run.layout
    written = load(layout.written_tiers_file.read_bytes(), file="written")
    urls = [endpoint.url for tier in written.tiers.values() for endpoint in tier.endpoints]
    assert [line for line in trial.said if any(line.endswith(f": {url}") for url in urls)] == trial.said[3:5]
    assert layout.tiers_file.read_text(encoding="utf-8").count("/v2/routing") == 1


async def test_workers_logs_of_an_earlier_start_are_gone(make_trial: MakeTrial) -> None:
    """Those that are there are this start's; nobody looks for the right one among many."""
    trial = make_trial()
    trial.run.layout.logs.mkdir(parents=True)
    old = trial.run.layout.logs / "worker-old.log"
    old.touch()
    await trial.go()
    assert not old.exists()
    assert len(list(trial.run.layout.logs.glob("worker-*.log"))) == 3


async def test_a_tier_map_whose_addresses_cannot_be_found_starts_no_gateway(make_trial: MakeTrial, pids: Pids) -> None:
    trial = make_trial()
    file = trial.run.layout.tiers_file
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("/v2/reasoning", "/\\u0076\\u0032/reasoning"), encoding="utf-8")
    with pytest.raises(BadUsage, match="does not say its endpoints' URLs in one piece"):
        await trial.go()
    assert pids.all() == []


async def test_without_once_it_serves_until_it_is_cancelled(make_trial: MakeTrial, pids: Pids) -> None:
    """It says where it serves and how to go on, and everything is stopped when the command is told to end."""
    trial = make_trial(once=False)
    async with asyncio.TaskGroup() as group:
        work = group.create_task(trial.go())
        async with asyncio.timeout(20):
            await trial.serves.wait()
        assert len(pids.alive()) == 5
        work.cancel()
    origin, key = trial.run.layout.origin, trial.run.environments.demo_key
    shown = trial.shown.getvalue()
    assert f"{origin}/docs" in shown
    assert f"curl {origin}/v1/chat/completions -H 'authorization: Bearer {key}'" in shown
    assert f"curl {trial.run.layout.emulator_origin}/lb/" in shown
    assert "/flows/Works -H 'authorization: Bearer rpa_emulator' -d '{}'" in shown
    assert trial.serving == [0]
    await pids.gone()


async def test_a_flow_that_fails_is_a_problem_with_the_flows_own_words(make_trial: MakeTrial, pids: Pids) -> None:
    """Its calls are shown all the same."""
    trial = make_trial("Fails")
    assert await trial.go() == 1
    (problem,) = [line for line in trial.said if line.startswith("problem: ")]
    assert problem.startswith("problem: the Flow failed: the budget routing-hourly is spent\n")
    assert "2 calls" in trial.shown.getvalue()
    await pids.gone()


@pytest.mark.parametrize(
    ("flow", "behaviour", "problem"),
    [
        ("Silent", {}, "problem: the gateway recorded no LLM call of this run"),
        ("Mute", {}, "problem: the orchestrator answered 200 without a result"),
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


async def test_a_layer_that_does_not_serve_is_named_although_the_flow_went_well(make_trial: MakeTrial) -> None:
    """What is above it and needs it is not asked."""
    trial = make_trial(engine="broken")
    assert await trial.go() == 1
    (problem,) = [line for line in trial.said if line.startswith("problem: ")]
    assert problem == "problem: verify: 7 passed, 2 failed, 8 skipped; begin with endpoint reasoning/0"
    shown = trial.shown.getvalue()
    assert "FAILED  endpoint routing/0: answers as small-routing" in shown
    assert "The customer gets a refund." in shown


async def test_a_flow_that_takes_too_long_is_stopped(make_trial: MakeTrial, pids: Pids) -> None:
    trial = make_trial("Hangs", patience=replace(QUICK, flow=2))
    assert await trial.go() == 1
    assert any(line.startswith("problem: the Flow took longer than 2 s") for line in trial.said)
    await pids.gone()


@pytest.mark.parametrize(
    ("behaviour", "message", "tail"),
    [
        ({"gateway": "die"}, "gateway ended by itself (exit status 4)", "cannot open the store"),
        ({"gateway": "die-on-call"}, "gateway ended by itself (exit status 7)", "out of memory"),
        (
            {"gateway": "die-on-report"},
            "gateway ended by itself (exit status 8)",
            "the disk is full",
        ),
        ({"gateway": "die-after-report"}, "gateway ended by itself (exit status 9)", "the store is gone"),
        ({"flow": "Dies"}, "the worker of flows ended by itself", "there is no such Flow"),
        ({"flow": "Breaks"}, "the worker of flows ended by itself", "out of memory"),
    ],
)
async def test_a_program_that_dies_ends_the_system_with_the_tail_of_its_log(
    make_trial: MakeTrial, pids: Pids, behaviour: dict[str, str], message: str, tail: str
) -> None:
    """While it starts, while the Flow runs and while it serves alike; the others are stopped."""
    trial = make_trial(once=False, **behaviour)
    with pytest.raises(ProcessDied) as caught:
        async with asyncio.timeout(20):
            await trial.go()
    assert (caught.value.message, caught.value.log_tail.splitlines()[-1]) == (message, tail)
    assert str(trial.run.layout.logs) in caught.value.remedy
    await pids.gone()


async def test_an_emulator_that_does_not_start_ends_the_system(make_trial: MakeTrial) -> None:
    trial = make_trial()
    programs = replace(trial.run.programs, emulator=("/bin/sh", "-c", "echo no such module >&2; exit 1"))
    trial.run = replace(trial.run, programs=programs)
    with pytest.raises(ProcessDied, match="emulator ended by itself") as caught:
        await trial.go()
    assert caught.value.log_tail == "no such module"


async def test_a_gateway_that_does_not_get_ready_in_time_ends_the_system(make_trial: MakeTrial, pids: Pids) -> None:
    trial = make_trial(patience=replace(QUICK, gateway=1), gateway="unready")
    with pytest.raises(NotReady, match=r"gateway was not ready within 1 s: .*/readyz last answered status 503.*store"):
        await trial.go()
    await pids.gone()


async def test_records_that_cannot_be_read_end_the_system(make_trial: MakeTrial, pids: Pids) -> None:
    with pytest.raises(GatewayUnreadable, match="answered 500"):
        await make_trial(gateway="refuse").go()
    await pids.gone()


async def test_nothing_starts_while_a_port_is_taken(make_trial: MakeTrial, pids: Pids) -> None:
    trial = make_trial()
    taken = trial.run.layout.emulator_port
    message = f"port {taken}, which the emulator needs"
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(PortsTaken, match=message):
        await trial.go()
    assert pids.all() == []
    assert not trial.run.layout.logs.exists()
