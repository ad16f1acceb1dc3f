"""An operator looks at tiers whose workers sleep, and wakes them ahead of time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.acceptance.emulated_system import RUNPODS, ask, check_whole, emulated_tier, gateway_before
from tests.acceptance.emulator_process import STAYS, EmulatedEndpoint, EmulatorProcess
from tests.acceptance.gateway_process import GatewayProcess

pytestmark = pytest.mark.acceptance
SPEED = 20.0
LOAD_SECONDS = 40
TYPES: dict[str, Any] = {"runpod-queue": "QUEUE", "runpod-load-balancer": "LOAD_BALANCER"}
Awaited = tuple[GatewayProcess, dict[str, EmulatedEndpoint]]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[Awaited]:
    """Two processes before one endpoint of each type, all cold; each waits out its idle timeout in 3 s."""
    with EmulatorProcess(tmp_path_factory.mktemp("emulator"), python=gateway_python, speed=SPEED) as emulator:
        endpoints = {}
        for transport in RUNPODS:
            changes: dict[str, Any] = {"workers": {**STAYS, "max": 2, "idleTimeout": 60}}
            if TYPES[transport] == "QUEUE":
                # No second worker because a busy machine is late: its lateness counts twentyfold.
                changes["scaling"] = {"type": "QUEUE_DELAY", "queueDelay": 20}
            made = emulator.endpoint(transport, TYPES[transport], **changes)
            made.spoil(pullSeconds=0, loadSeconds=LOAD_SECONDS)
            endpoints[transport] = made
        tiers = {transport: emulated_tier(endpoint, transport) for transport, endpoint in endpoints.items()}
        directory = tmp_path_factory.mktemp("gateway")
        with gateway_before(emulator, tiers, directory, gateway_python, processes=2) as gateway:
            yield gateway, endpoints


def endpoint_of(gateway: GatewayProcess, tier: str) -> dict[str, Any]:
    """What the gateway tells of the tier's only endpoint."""
    tiers = gateway.call("GET", "/tiergate/v1/tiers").json()["data"]
    [endpoint] = next(each["endpoints"] for each in tiers if each["name"] == tier)
    found: dict[str, Any] = endpoint
    return found


def is_warm(gateway: GatewayProcess, tier: str) -> bool:
    """Whether a worker of the tier is awake."""
    return bool(endpoint_of(gateway, tier)["state"] == "warm")


@pytest.mark.parametrize("transport", RUNPODS)
def test_a_tier_is_woken_once_and_then_serves_at_once(system: Awaited, transport: str) -> None:
    """From any process, and all of them know of it; it falls asleep again when nobody calls."""
    gateway, endpoints = system
    path = f"/tiergate/v1/tiers/{transport}/wake"
    gateway.wait_until(lambda: endpoint_of(gateway, transport)["state"] == "cold")
    first = gateway.call("POST", path, {})
    assert (first.status, first.json()["sent"], first.json()["awake"]) == (202, True, False)
    assert first.json()["endpoints"][0]["state"] == "waking"
    again = [gateway.call("POST", path, {}) for _ in range(8)]
    assert {answer.status for answer in again} == {202}
    gateway.wait_until(lambda: endpoint_of(gateway, transport)["sample"] is not None)
    assert len(endpoints[transport].workers()) == 1
    gateway.wait_until(lambda: endpoint_of(gateway, transport)["state"] == "warm", seconds=10)
    # Another process may hear of it a moment later than the one that has just answered.
    gateway.wait_until(lambda: gateway.call("POST", path, {}).status == 200)
    answer = ask(gateway, transport, stream=False, run=f"woken-{transport}")
    check_whole(answer)
    assert len(endpoints[transport].workers()) == 1
    metrics = gateway.call("GET", "/metrics").body.decode()
    assert f'tiergate_endpoint_wakes_total{{endpoint="{transport}/0",tier="{transport}"}} 1.0' in metrics
    gateway.wait_until(lambda: endpoint_of(gateway, transport)["state"] == "cold", seconds=15)
    assert {"warm", "cold"} <= {event["state"] for event in gateway.events("endpoint.warmth")}


def test_tiers_that_many_announce_at_once_are_woken_once_for_all(system: Awaited) -> None:
    """Whichever process hears it; a request that comes meanwhile waits for the same worker."""
    gateway, endpoints = system
    gateway.wait_until(lambda: {endpoint_of(gateway, tier)["state"] for tier in RUNPODS} == {"cold"}, seconds=15)
    before = {tier: len(endpoints[tier].workers()) for tier in RUNPODS}
    with ThreadPoolExecutor(9) as threads:
        asked = threads.submit(ask, gateway, RUNPODS[0], stream=False, run="announced")
        body = {"tiers": list(RUNPODS), "run": "announced"}
        answers = [threads.submit(gateway.call, "POST", "/tiergate/v1/wake", body) for _ in range(8)]
        told = [each for answer in answers for each in answer.result().json()["data"]]
    assert {each["state"] for each in told} <= {"woken", "waking", "awake"}
    assert sum(each["state"] == "woken" for each in told if each["name"] == RUNPODS[1]) == 1
    assert sum(each["state"] == "woken" for each in told if each["name"] == RUNPODS[0]) <= 1
    check_whole(asked.result())
    for tier in RUNPODS:
        gateway.wait_until(partial(is_warm, gateway, tier), seconds=10)
        assert len(endpoints[tier].workers()) == max(before[tier], 1), "one worker each"
    told_of = [event for event in gateway.events("tiers.announced") if event["woken"]]
    assert {(event["key"], event["run"]) for event in told_of} == {("demo", "announced")}


def test_without_a_key_nothing_is_woken(system: Awaited) -> None:
    """Nor shown."""
    gateway, _ = system
    wakes = ("/tiergate/v1/tiers/runpod-queue/wake", "/tiergate/v1/wake")
    for method, path in (("GET", "/tiergate/v1/tiers"), *(("POST", wake) for wake in wakes)):
        assert gateway.call(method, path, key="wrong").status == 401
