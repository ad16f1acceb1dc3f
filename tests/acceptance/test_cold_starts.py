"""Cold starts through the gateway: a caller waits and gets a plain answer, however long the worker takes to come.

It runs a hundred times as fast as on Runpod: 9 minutes are 5.4 seconds here. The answers of the first tests are asked
for all at once, so that their waits are one wait. Where two hundred call at once it is thirty times as fast: what the
edge does after 100 seconds must not depend on how busy the machine of the test is.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from openai import OpenAI

from tests.acceptance.conftest import KEY
from tests.acceptance.emulated_system import (
    RUNPODS,
    ask,
    check_settled,
    check_whole,
    comments,
    direct,
    emulated_tier,
    gateway_before,
)
from tests.acceptance.emulator_process import MODEL, STAYS, EmulatedEndpoint, EmulatorProcess
from tests.acceptance.fault_bench import Asked
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.store_process import StoreProcess

pytestmark = pytest.mark.acceptance

SPEED = 100.0
COLD_SECONDS = (0, 30, 105, 540)
PULL_SHARE = 0.4
"""Of a cold start; the rest is the load."""
INIT_TIMEOUT = {"RUNPOD_INIT_TIMEOUT": "1200"}
SHORT_HEADERS = {"connect": "2s", "headers": "3s", "idle": "3s", "total": "20s"}
"""An endpoint that is awake has 3 s to begin; a cold start of 9 minutes is longer than that here, too."""
HEARTBEAT_SECONDS = 10.0
CALLERS = (20, 200)
"""As many as one worker takes, and more than all of them take at once."""
WORKERS = {"max": 3, "slots": 30}
BURST_SECONDS = 20.0
BURST_COLD_SECONDS = 20
BURST_SPEED = 20.0
each_transport = pytest.mark.parametrize("transport", RUNPODS)
TYPES: Mapping[str, Any] = {"runpod-queue": "QUEUE", "runpod-load-balancer": "LOAD_BALANCER"}


class Case(NamedTuple):
    """One call to a cold endpoint of its own."""

    transport: str
    stream: bool
    seconds: int

    @property
    def name(self) -> str:
        """Its tier's, and its run's."""
        return f"{self.transport}-{'stream' if self.stream else 'whole'}-{self.seconds}"


CASES = [Case(*values) for values in itertools.product(RUNPODS, (False, True), COLD_SECONDS)]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


class ColdCalls:
    """What became of every case."""

    def __init__(self, emulator: EmulatorProcess, gateway: GatewayProcess) -> None:
        self.emulator = emulator
        self.gateway = gateway
        self.endpoints: dict[Case, EmulatedEndpoint] = {}
        self.asked: dict[Case, Asked] = {}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("emulator"), python=gateway_python, speed=SPEED) as running:
        running.quota(1000)
        yield running


@pytest.fixture(scope="module")
def slower_emulator(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("slower"), python=gateway_python, speed=BURST_SPEED) as running:
        running.quota(1000)
        yield running


@pytest.fixture(scope="module")
def calls(
    emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory, gateway_python: str
) -> Iterator[ColdCalls]:
    endpoints: dict[Case, EmulatedEndpoint] = {}
    tiers: dict[str, Any] = {}
    for case in CASES:
        endpoint = emulator.endpoint(case.name, TYPES[case.transport], env=INIT_TIMEOUT)
        endpoint.spoil(pullSeconds=case.seconds * PULL_SHARE, loadSeconds=case.seconds * (1 - PULL_SHARE))
        endpoints[case] = endpoint
        tiers[case.name] = emulated_tier(endpoint, case.transport, timeouts=SHORT_HEADERS)
    for transport in RUNPODS:
        endpoint = emulator.endpoint(f"sdk-{transport}", TYPES[transport])
        endpoint.spoil(pullSeconds=40, loadSeconds=65)
        tiers[f"sdk-{transport}"] = emulated_tier(endpoint, transport)
    directory = tmp_path_factory.mktemp("cold")
    with gateway_before(emulator, tiers, directory, gateway_python) as gateway:
        made = ColdCalls(emulator, gateway)
        made.endpoints = endpoints
        with ThreadPoolExecutor(len(CASES)) as pool:
            answers = pool.map(lambda case: ask(gateway, case.name, stream=case.stream, run=case.name), CASES)
            made.asked = dict(zip(CASES, answers, strict=True))
        yield made


@each_case
def test_a_call_to_a_cold_endpoint_is_a_plain_answer(calls: ColdCalls, case: Case) -> None:
    """Whole, settled, and in its text and usage what a warm worker would have said; it took as long as the start."""
    asked = calls.asked[case]
    check_whole(asked)
    assert asked.seconds >= case.seconds / SPEED
    body = {"model": MODEL, "messages": [{"role": "user", "content": case.name}]}
    expected = direct(calls.endpoints[case], calls.emulator, body)
    assert asked.text == expected["choices"][0]["message"]["content"]
    assert {name: asked.usage[name] for name in expected["usage"]} == expected["usage"]
    check_settled(calls.gateway, case.name)


@each_case
def test_the_record_tells_how_the_call_went(calls: ColdCalls, case: Case) -> None:
    """One try, over the way for cold endpoints; a worker delay where Runpod tells one."""
    record = calls.gateway.record(run=case.name)
    assert (record["outcome"], record["attempts"]) == ("ok", 1)
    told = record["runpod"]
    assert told["cold"] is True
    assert told["worker"] in {worker["id"] for worker in calls.endpoints[case].workers()}
    if case.transport == "runpod-queue":
        assert told["way"] == "job"
        assert told["worker_delay_seconds"] >= case.seconds
    else:
        assert told["way"] == "balancer"


@each_case
def test_one_worker_was_woken_for_one_call(calls: ColdCalls, case: Case) -> None:
    """And, behind a queue, by one job; asking whether it is awake costs none."""
    endpoint = calls.endpoints[case]
    assert len(endpoint.workers()) == 1
    if case.transport == "runpod-queue":
        [job] = [job for job in endpoint.jobs() if not job.id.startswith("sync-")]
        assert job.status == "COMPLETED"


@each_case
def test_a_stream_has_signs_of_life_while_it_waits(calls: ColdCalls, case: Case) -> None:
    """A comment every 10 seconds of Runpod's time, also with the last ones late; a whole answer has none."""
    told = comments(calls.asked[case])
    if case.stream:
        assert len(told) >= case.seconds / HEARTBEAT_SECONDS / 2 - 1
        assert len(told) <= case.seconds / HEARTBEAT_SECONDS + 30
    else:
        assert told == []
        assert calls.asked[case].headers["content-type"].startswith("application/json")


@each_transport
def test_the_sdk_waits_for_a_cold_endpoint_without_noticing(calls: ColdCalls, transport: str) -> None:
    """One try is enough, and comments are nothing to it."""
    messages: Any = [{"role": "user", "content": "hello"}]
    with OpenAI(base_url=calls.gateway.url, api_key=KEY, max_retries=0) as client:
        with client.chat.completions.stream(model=f"sdk-{transport}", messages=messages) as events:
            streamed = events.get_final_completion()
        again = client.chat.completions.create(model=f"sdk-{transport}", messages=messages)
    assert streamed.choices[0].message.content == again.choices[0].message.content


class Burst:
    """Many callers at once on a cold tier, whose endpoint would start more workers than the tier map speaks of."""

    def __init__(self, emulator: EmulatorProcess, transport: str, callers: int) -> None:
        self.callers = callers
        self.name = f"burst-{callers}"
        self.workers = min(WORKERS["max"], math.ceil(callers / WORKERS["slots"]))
        self.endpoint = emulator.endpoint(self.name, TYPES[transport], workers={**STAYS, "max": 3 * WORKERS["max"]})
        self.endpoint.spoil(pullSeconds=0, loadSeconds=BURST_COLD_SECONDS)
        timeouts = {"connect": "5s", "headers": "10s", "idle": "10s", "total": f"{BURST_SECONDS:.0f}s"}
        slots = WORKERS["max"] * WORKERS["slots"]
        self.tier = emulated_tier(self.endpoint, transport, workers=WORKERS, timeouts=timeouts, slots=slots)

    def run(self, gateway: GatewayProcess) -> None:
        """Nobody is lost or refused, and no worker is woken that is not needed."""

        def one(number: int) -> Asked:
            return ask(gateway, self.name, stream=number % 2 == 0, run=self.caller(number), seconds=BURST_SECONDS + 5)

        with ThreadPoolExecutor(self.callers) as pool:
            answers = list(pool.map(one, range(self.callers)))
        for asked in answers:
            check_whole(asked)
            assert asked.seconds < BURST_SECONDS
        assert 1 <= len(self.endpoint.workers()) <= self.workers
        if self.endpoint.kind == "QUEUE":
            none = dict.fromkeys(("failed", "inProgress", "inQueue", "retried"), 0)
            expected = {"completed": self.callers, **none}
            assert self.endpoint.job_counts() == expected, "a job for each call: none was sent again, none only to wake"
        for number in (0, 1, self.callers - 1):
            check_settled(gateway, self.caller(number))

    def caller(self, number: int) -> str:
        """The run of one of them."""
        return f"{self.name}-{number}"


@each_transport
def test_many_callers_at_once_wake_each_worker_once(
    slower_emulator: EmulatorProcess, transport: str, tmp_path: Path, gateway_python: str
) -> None:
    """One process: the first calls wake the workers that are needed, all others wait for them and are served."""
    bursts = [Burst(slower_emulator, transport, callers) for callers in CALLERS]
    tiers = {burst.name: burst.tier for burst in bursts}
    with gateway_before(slower_emulator, tiers, tmp_path, gateway_python) as gateway:
        for burst in bursts:
            burst.run(gateway)


@each_transport
def test_many_callers_wake_no_more_over_two_processes(
    slower_emulator: EmulatorProcess, transport: str, tmp_path: Path, gateway_python: str
) -> None:
    """Two processes on one store count their wakes together."""
    bursts = [Burst(slower_emulator, transport, callers) for callers in CALLERS]
    tiers = {burst.name: burst.tier for burst in bursts}
    with StoreProcess() as store:
        store.start()
        gateway = gateway_before(slower_emulator, tiers, tmp_path, gateway_python, store=store.url, processes=2)
        with gateway:
            for burst in bursts:
                burst.run(gateway)
