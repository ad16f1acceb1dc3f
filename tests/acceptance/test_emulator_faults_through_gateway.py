"""Each fault of the emulator through the gateway, over queue and load balancer: a right answer or a clear error.

Never is a broken answer passed off as a whole one, nobody waits beyond the deadline, nothing of a budget stays held,
and no job is left behind that Runpod would go on billing. Every call of a test is made at once: over each transport,
whole and as a stream, to an endpoint of its own. Twenty-five seconds pass on Runpod in each real one.
"""

import itertools
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.acceptance.emulated_system import RUNPODS, ask, check_settled, check_whole, emulated_tier, gateway_before
from tests.acceptance.emulator_process import KEY, EmulatedEndpoint, EmulatorProcess
from tests.acceptance.fault_bench import MODES, Asked
from tests.acceptance.gateway_process import GatewayProcess

pytestmark = pytest.mark.acceptance

SPEED = 25.0
TOTAL_SECONDS = 4.0
PATIENT_SECONDS = 12.0
SLACK_SECONDS = 1.5
"""How much later than its deadline an answer may be here, where other tests take the machine's time."""
RETRY_AFTER_MAX = 120
TRIES_MAX = 10
TIMEOUTS = {"connect": "1s", "headers": "3s", "idle": "2s", "total": f"{TOTAL_SECONDS}s"}
PATIENT = {"timeouts": {"connect": "2s", "headers": "4s", "idle": "4s", "total": f"{PATIENT_SECONDS}s"}}
QUEUE, BALANCER = RUNPODS
SPARE = "spare"
FOREIGN = [{"role": "user", "content": "Sag etwas mit Umlauten und Emoji."}]
ERROR_TEXT = "The emulator was asked for this error."
TYPES: Mapping[str, Any] = {QUEUE: "QUEUE", BALANCER: "LOAD_BALANCER"}
NO_WORKER = ("tier_cold", "upstream_timeout", "upstream_unreachable", "endpoints_unavailable")
FAILED = ("upstream_error", "upstream_failed", "upstream_refused")
COLD_SECONDS = 150
"""Longer than a load balancer waits."""
NO_BREAKER = {"failures": 100}
"""A fault strikes in every test of its tier, and none of them is about the breaker."""
SOON = {"backoff": "20ms", "backoff_max": "100ms"}
states = pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])


@dataclass(frozen=True, slots=True)
class Setting:
    """How a fault's tiers are set up."""

    transports: tuple[str, ...] = RUNPODS
    modes: tuple[bool, ...] = (False, True)
    cold: int = 0
    """How many of its tests begin with endpoints whose workers sleep: each has its own."""
    warm: bool = False
    """Whether others begin with some that are awake: these share theirs."""
    spare: bool = False
    """Whether there is a tier to fall back to."""
    more: Mapping[str, Any] = field(default_factory=dict)


SETTINGS = {
    "capacity": Setting(cold=1),
    "capacity-spare": Setting(cold=1, spare=True),
    "crash": Setting(cold=1),
    "crash-spare": Setting(cold=1, spare=True),
    "paused": Setting(cold=1),
    "status": Setting(warm=True),
    "silence": Setting(warm=True),
    "silence-spare": Setting(warm=True, spare=True),
    "broken": Setting(cold=2, warm=True),
    "split": Setting(transports=(QUEUE,), modes=(True,), cold=1, warm=True),
    "engine": Setting(cold=3, warm=True),
    "stuck": Setting(transports=(QUEUE,), cold=1, warm=True),
    "left": Setting(transports=(QUEUE,), cold=1),
    "job-crash": Setting(transports=(QUEUE,), cold=1),
    "cold-body": Setting(transports=(BALANCER,), cold=2, more=PATIENT),
    "failed": Setting(transports=(QUEUE,), warm=True),
    "moment": Setting(cold=4, warm=True, more=PATIENT),
}


class Case:
    """One call to an endpoint that will fail: its tier, its endpoint, and what the caller saw."""

    def __init__(self, gateway: GatewayProcess, name: str, endpoint: EmulatedEndpoint, *, stream: bool) -> None:
        self.gateway = gateway
        self.name = name
        self.endpoint = endpoint
        self.stream = stream
        self.body: dict[str, Any] = {}
        self.run = ""
        self.asked: Asked

    def ask(self, run: str) -> Asked:
        """Call with the fields of ``body``, and wait for the end."""
        self.run = f"{run}-{self.name}"
        self.asked = ask(self.gateway, self.name, stream=self.stream, run=self.run, **self.body)
        return self.asked

    def check_nothing_left(self) -> None:
        """The budget holds nothing back, and no job goes on."""
        check_settled(self.gateway, self.run)
        if self.endpoint.kind == "QUEUE":
            self.endpoint.answer_again()
            self.endpoint.settled()

    def wait_for_jobs(self, *, some: bool, nameless: bool = True) -> None:
        """Until it has open ones, or none any more; without ``nameless`` only those count that were sent as jobs."""

        def there() -> bool:
            jobs = [job for job in self.endpoint.jobs() if job.open]
            return any(nameless or not job.id.startswith("sync-") for job in jobs)

        self.gateway.wait_until(lambda: there() is some)

    def check_served(self, tier: str = "") -> None:
        """It is a whole answer, of that tier (else of its own)."""
        check_whole(self.asked)
        record = self.gateway.record(run=self.run)
        assert (record["outcome"], record["tier"]) == ("ok", tier or self.name)

    def check_failed(self, *codes: str) -> dict[str, Any]:
        """It is an error in OpenAI's envelope with one of ``codes``, inside the stream where that had begun.

        Nothing of it looks like an end, and nothing of the machinery or its key is shown.
        """
        error: dict[str, Any] = self.asked.error
        assert error["code"] in codes, self.asked.end
        assert "[DONE]" not in self.asked.body
        assert not any(one.get("finish_reason") for one in self.asked.choices)
        assert KEY not in self.asked.body
        assert "Traceback" not in self.asked.body
        assert self.asked.status != 429, "CrewAI answers a 429 with 27 requests"
        assert int(self.asked.headers.get("retry-after", "1")) <= RETRY_AFTER_MAX
        assert self.gateway.record(run=self.run)["outcome"] not in {"ok", "client_error"}
        return error


class Bench:
    """The gateway before the emulator, with tiers and endpoints of its own for each fault."""

    def __init__(self, emulator: EmulatorProcess, endpoints: Mapping[str, EmulatedEndpoint]) -> None:
        self.emulator = emulator
        self.gateway: GatewayProcess
        self._endpoints = endpoints
        self._cold: Mapping[str, Iterator[int]] = defaultdict(itertools.count)

    def cases(self, fault: str, run: str, *, warm: bool = False, modes: Sequence[bool] = (False, True)) -> list[Case]:
        """A fault's tiers: over each transport in each of ``modes``, whose endpoints do well as yet.

        They are cold, and nobody has asked them for anything. ``warm``: a worker is awake, as the gateway knows.
        """
        number = "warm" if warm else str(next(self._cold[fault]))
        made = []
        for transport, stream in itertools.product(SETTINGS[fault].transports, modes):
            name = f"{fault}-{transport}-{MODES[stream]}-{number}"
            made.append(Case(self.gateway, name, self._endpoints[name], stream=stream))
        for case in made:
            case.endpoint.mend()
        if warm:
            together(made, lambda case: case.ask(f"{run}-warm"))
            for case in made:
                check_whole(case.asked)
        return made

    def spoiled(
        self,
        fault: str,
        run: str,
        *,
        warm: bool = False,
        modes: Sequence[bool] = (False, True),
        total: float = TOTAL_SECONDS,
        **faults: object,
    ) -> list[Case]:
        """The same with ``faults``, all asked at once; each is answered by its deadline and leaves nothing behind."""
        made = self.cases(fault, run, warm=warm, modes=modes)
        for case in made:
            case.endpoint.spoil(**faults)
        asked(made, run, total=total)
        return made


def together(cases: Sequence[Case], work: Any) -> None:  # noqa: ANN401 -- any function of a case
    """Do it with all of them at once."""
    with ThreadPoolExecutor(len(cases)) as pool:
        list(pool.map(work, cases))


def asked(cases: Sequence[Case], run: str, *, total: float = TOTAL_SECONDS) -> None:
    """Ask all of them; each is answered by its deadline and leaves nothing behind."""
    together(cases, lambda case: case.ask(run))
    for case in cases:
        assert case.asked.seconds < total + SLACK_SECONDS, case.name
    together(cases, Case.check_nothing_left)


def served_again(cases: Sequence[Case], run: str) -> None:
    """Who is told to come back, and does so a few times, is served by the endpoint that is well again."""

    def again(case: Case) -> None:
        for number in range(TRIES_MAX):
            case.ask(f"{run}-again-{number}")
            if '"error"' not in case.asked.body:
                return
            time.sleep(RETRY_AFTER_MAX / SPEED / 4)

    together(cases, again)
    for case in cases:
        case.check_served()
        case.check_nothing_left()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("emulated-faults")
    with EmulatorProcess(directory, python=gateway_python, speed=SPEED) as emulator:
        emulator.quota(1000)
        spare = emulator.endpoint(SPARE, "LOAD_BALANCER")
        spare.warm()
        endpoints: dict[str, EmulatedEndpoint] = {}
        tiers: dict[str, Any] = {SPARE: emulated_tier(spare, "openai", timeouts=TIMEOUTS)}
        for fault, setting in SETTINGS.items():
            numbers = [*map(str, range(setting.cold)), *(["warm"] if setting.warm else [])]
            for transport, stream, number in itertools.product(setting.transports, setting.modes, numbers):
                name = f"{fault}-{transport}-{MODES[stream]}-{number}"
                endpoint = endpoints[name] = emulator.endpoint(name, TYPES[transport])
                settings = {"timeouts": TIMEOUTS, "breaker": NO_BREAKER, "retry": SOON, **setting.more}
                tiers[name] = emulated_tier(endpoint, transport, **settings)
                tiers[name]["fallback"] = [SPARE] if setting.spare else []
        made = Bench(emulator, endpoints)
        with gateway_before(emulator, tiers, directory, gateway_python) as made.gateway:
            yield made


@pytest.fixture(autouse=True)
def gateway(bench: Bench, run: str) -> Iterator[GatewayProcess]:
    """Whatever happens, the gateway serves afterwards."""
    yield bench.gateway
    check_whole(ask(bench.gateway, SPARE, stream=False, run=f"{run}-after"))


def test_no_capacity_sends_a_call_to_the_fallback(bench: Bench, run: str) -> None:
    """`noCapacity` where another tier serves: nobody waits for a GPU that there is not."""
    for case in bench.spoiled("capacity-spare", run, noCapacity=True):
        case.check_served(SPARE)


def test_no_capacity_and_nowhere_to_go_is_told_by_the_deadline(bench: Bench, run: str) -> None:
    """`noCapacity`: a 503 or 504 that says when to come back, never a 429; with capacity again it is served."""
    cases = bench.spoiled("capacity", run, noCapacity=True)
    for case in cases:
        case.check_failed(*NO_WORKER)
        case.endpoint.mend()
    served_again(cases, run)


def test_a_crash_loop_sends_a_call_to_the_fallback(bench: Bench, run: str) -> None:
    """`crashLoop` where another tier serves."""
    for case in bench.spoiled("crash-spare", run, crashLoop=True, loadSeconds=5):
        case.check_served(SPARE)


def test_a_crash_loop_is_not_waited_out(bench: Bench, run: str) -> None:
    """`crashLoop` with nowhere to go: an error by the deadline, not an answer and no hang."""
    for case in bench.spoiled("crash", run, crashLoop=True, loadSeconds=5):
        case.check_failed(*NO_WORKER, "upstream_failed")


def test_a_paused_endpoint_is_not_waited_for(bench: Bench, run: str) -> None:
    """No workers allowed (as after seven idle days): an error by the deadline; it works when they are again."""
    cases = bench.cases("paused", run)
    for case in cases:
        bench.emulator.workers_max(case.endpoint, 0)
    asked(cases, run)
    for case in cases:
        case.check_failed(*NO_WORKER)
        bench.emulator.workers_max(case.endpoint, 3)
    served_again(cases, run)


@states
@pytest.mark.parametrize("fault", [{"status": 502}, {"status": 500}, {"reset": True}, {"status": 429}], ids=str)
def test_a_fault_of_a_moment_is_not_noticed(bench: Bench, run: str, warm: bool, fault: dict[str, Any]) -> None:
    """`status`, `reset` and 429 once: the call is served, by another try or by waiting."""
    for case in bench.spoiled("moment", run, warm=warm, total=PATIENT_SECONDS, **fault, remaining=1):
        case.check_served()


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"reset": True}], ids=str)
def test_a_fault_that_stays_is_told(bench: Bench, run: str, fault: dict[str, Any]) -> None:
    """`status` and `reset` for ever: an error by the deadline."""
    for case in bench.spoiled("status", run, warm=True, **fault):
        case.check_failed(*NO_WORKER, *FAILED)


def test_silence_ends_by_the_deadline(bench: Bench, run: str) -> None:
    """`silence` with nowhere to go."""
    for case in bench.spoiled("silence", run, warm=True, silence=True):
        case.check_failed(*NO_WORKER)


def test_silence_leads_to_the_fallback(bench: Bench, run: str) -> None:
    """`silence` where another tier serves."""
    for case in bench.spoiled("silence-spare", run, warm=True, silence=True):
        case.check_served(SPARE)


@states
@pytest.mark.parametrize("fault", [{"cutAfter": 4}, {"garbleEvery": 4}], ids=str)
def test_a_stream_that_breaks_never_looks_whole(bench: Bench, run: str, warm: bool, fault: dict[str, Any]) -> None:
    """`cutAfter` and `garbleEvery`: the stream ends with an error and no end mark; what had come is paid."""
    for case in bench.spoiled("broken", run, warm=warm, modes=(True,), **fault):
        case.check_failed("upstream_failed")


def test_a_whole_answer_is_not_touched_by_faults_of_streams(bench: Bench, run: str) -> None:
    """`cutAfter` and `garbleEvery` spoil streams alone."""
    for case in bench.spoiled("broken", run, warm=True, modes=(False,), cutAfter=2, garbleEvery=2):
        case.check_served()


@states
def test_characters_that_are_cut_are_no_error(bench: Bench, run: str, warm: bool) -> None:
    """`splitCharacters`: a worker loses what it cuts; the stream is whole, and text all the same."""
    [case] = cases = bench.cases("split", run, warm=warm, modes=(True,))
    case.body = {"messages": FOREIGN}
    case.endpoint.spoil(splitCharacters=True, pieceBytes=7)
    asked(cases, run)
    case.check_served()
    case.endpoint.mend()
    lossless = ask(case.gateway, case.name, stream=False, run=case.run, messages=FOREIGN)
    assert "\N{REPLACEMENT CHARACTER}" in case.asked.text
    kept = re.split("\N{REPLACEMENT CHARACTER}+", case.asked.text)
    assert re.fullmatch(".".join(map(re.escape, kept)), lossless.text), case.asked.text
    assert case.asked.usage == lossless.usage


@states
@pytest.mark.parametrize(("status", "kind"), [(400, "BadRequestError"), (404, "NotFoundError")])
def test_what_an_engine_refuses_is_told_in_its_words(
    bench: Bench, run: str, warm: bool, status: int, kind: str
) -> None:
    """`engineStatus` 400 and 404: the caller's to mend and to read, also through a job and the platform's 500."""
    for case in bench.spoiled("engine", run, warm=warm, engineStatus=status):
        assert ERROR_TEXT in case.asked.error["message"], case.name
        assert case.asked.error["type"] == kind
        if not case.asked.body.startswith(":"):
            assert case.asked.status == status
        assert "[DONE]" not in case.asked.body


@states
def test_an_engine_that_fails_is_an_error_of_the_endpoint(bench: Bench, run: str, warm: bool) -> None:
    """`engineStatus` 500: not the caller's, and no answer."""
    for case in bench.spoiled("engine", run, warm=warm, engineStatus=500):
        case.check_failed(*FAILED)


@states
def test_a_job_that_never_ends_is_ended(bench: Bench, run: str, warm: bool) -> None:
    """`stuckJobs`: the caller is told by its deadline; no job of ours outlives it.

    A call over the OpenAI route has a job whose id nobody is told: Runpod itself has to end that one.
    """
    cases = bench.cases("stuck", run, warm=warm)
    for case in cases:
        case.endpoint.spoil(stuckJobs=True)
    together(cases, lambda case: case.ask(run))
    for case in cases:
        assert case.asked.seconds < TOTAL_SECONDS + SLACK_SECONDS
        case.check_failed(*NO_WORKER)
        check_settled(case.gateway, case.run)
        case.wait_for_jobs(some=False, nameless=not warm)
        if not warm:
            assert {job.status for job in case.endpoint.jobs()} == {"CANCELLED"}, "not left to its time to live"
        case.endpoint.mend()


def test_a_client_that_leaves_cancels_its_job(bench: Bench, run: str) -> None:
    """Nobody pays Runpod for an answer that nobody waits for."""
    for case in bench.cases("left", run):
        case.endpoint.spoil(loadSeconds=3600)
        case.run = f"{run}-{case.name}"
        body = {"model": case.name, "messages": [{"role": "user", "content": "hello"}], "stream": case.stream}
        headers = {"authorization": f"Bearer {case.gateway.key}", "x-tiergate-run": case.run}
        with case.gateway.connection() as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), headers)
            case.wait_for_jobs(some=True)
        case.wait_for_jobs(some=False)
        assert {job.status for job in case.endpoint.jobs()} == {"CANCELLED"}
        case.check_nothing_left()
        assert case.gateway.record(run=case.run)["outcome"] == "disconnected"


def test_a_job_whose_worker_dies_is_an_error(bench: Bench, run: str) -> None:
    """`crashInJob`: Runpod's words for it ("timed out") say nothing true."""
    for case in bench.spoiled("job-crash", run, crashInJob=True):
        case.check_failed(*NO_WORKER, *FAILED)


def test_a_cold_400_is_waited_out(bench: Bench, run: str) -> None:
    """`coldBody`: a load balancer whose worker takes longer than its 2 minutes says 400; that is not the caller's."""
    cases = []
    for body in ("timed_out", "no_workers"):
        cases += bench.cases("cold-body", run)
        for case in cases[-2:]:
            case.endpoint.spoil(coldBody=body, pullSeconds=0, loadSeconds=COLD_SECONDS)
    asked(cases, run, total=PATIENT_SECONDS)
    for case in cases:
        case.check_served()
        assert case.asked.seconds >= COLD_SECONDS / SPEED
        assert case.gateway.record(run=case.run)["runpod"]["tries"] > 1


@pytest.mark.parametrize("shape", ["status_500", "status_200"])
def test_a_failed_job_on_the_openai_route_is_never_an_answer(bench: Bench, run: str, shape: str) -> None:
    """`failedOpenai`: as HTTP 500, or as HTTP 200 with a body that is none."""
    for case in bench.spoiled("failed", run, warm=True, failedOpenai=shape, engineStatus=500):
        case.check_failed(*FAILED)


@pytest.mark.parametrize("shape", ["status_500", "status_200"])
def test_a_refusal_on_the_openai_route_is_the_callers(bench: Bench, run: str, shape: str) -> None:
    """`failedOpenai`: vLLM's 400 is a 400 in whichever shape the platform hides it."""
    for case in bench.spoiled("failed", run, warm=True, failedOpenai=shape, engineStatus=400):
        if not case.asked.body.startswith(":"):
            assert case.asked.status == 400
        assert case.asked.error["type"] == "BadRequestError", case.asked.end
        assert ERROR_TEXT in case.asked.error["message"]
