"""S15 of the sixteen faults: an endpoint that is down for a while, with calls all the time."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.acceptance.fault_bench import MODES, SPARE, FaultBench, FaultCase, Faulty, check_prompts_alone, running
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import Behaviour

pytestmark = pytest.mark.acceptance

both = pytest.mark.parametrize("stream", [False, True], ids=MODES)
SCALE = 20
DOWN_SECONDS = 60 / SCALE
EVERY_SECONDS = 4 / SCALE
BACK_SECONDS_MAX = 30 / SCALE
ASKED_MAX = 10
"""How often the endpoint may be troubled while it is down, probes and tries together; it would have got 15 calls."""
BREAKER = {"within": "1500ms", "open": "250ms", "open_max": "3s"}
"""The defaults, scaled like everything else."""
DOWN = {False: Behaviour(status=503), True: Behaviour(reset_at_once=True)}
"""For whole answers its proxy says so, for streams nothing answers: every connection is reset."""
FAULTS = {"s15": Faulty(settings={"breaker": BREAKER, "retry": {"backoff": "10ms"}})}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[FaultBench]:
    with running(FAULTS, tmp_path_factory.mktemp("outage"), gateway_python) as opened:
        yield opened


@pytest.fixture
def gateway(bench: FaultBench) -> GatewayProcess:
    """So that a failed test shows its log."""
    return bench.gateway


def served_by(case: FaultCase, until: float, *, times: int = 0) -> list[tuple[float, str]]:
    """Ask at a steady pace ``until`` then; when each answer was asked for, and the tier that gave it.

    Ends before once the tier itself has served ``times``, where that is more than 0.
    """
    pace = threading.Event()
    seen: list[tuple[float, str]] = []
    while (now := time.monotonic()) < until and not 0 < times <= sum(tier == case.name for _, tier in seen):
        asked = case.ask()
        asked.check_good()
        seen.append((now, asked.tier))
        pace.wait(max(0.0, now + EVERY_SECONDS - time.monotonic()))
    return seen


@both
def test_s15_an_outage_is_not_noticed_and_soon_forgotten(
    bench: FaultBench, gateway: GatewayProcess, run: str, stream: bool
) -> None:
    """S15, down 60 s with a call every 4 s: all served, back 30 s after at the latest, few probes.

    Twenty times as fast, the breaker's times too: down 3 s, a call every 0.2 s, back within 1.5 s.
    """
    case = bench.case("s15", stream=stream, run=run)
    case.upstream.down = DOWN[stream]
    during = served_by(case, time.monotonic() + DOWN_SECONDS)
    asked_while_down = len(case.upstream.requests)
    case.upstream.down = None
    well_again = time.monotonic()
    after = served_by(case, well_again + BACK_SECONDS_MAX + EVERY_SECONDS, times=3)
    assert {tier for _, tier in during} == {SPARE}
    assert 1 <= asked_while_down <= ASKED_MAX
    back = next(moment for moment, tier in after if tier == case.name)
    assert back - well_again <= BACK_SECONDS_MAX
    assert {tier for moment, tier in after if moment >= back} == {case.name}
    records = gateway.records(run=run)
    assert {record["outcome"] for record in records} == {"ok"}
    assert {record["reason"] for record in records} == {"fallback", "tier"}
    assert all(record["charges"][-1]["tier"] == record["tier"] for record in records)
    for record in records:
        check_prompts_alone(record["charges"][:-1], tier=case.name)
