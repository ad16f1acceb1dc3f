"""Two gateways before an emulated Runpod, one of which is killed: what they booked together is what Runpod bills.

It runs twenty times as fast as on Runpod.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.acceptance.conftest import DEMO, ENVIRONMENT, tier_map
from tests.acceptance.conftest import KEY as GATEWAY_KEY
from tests.acceptance.emulated_system import RUNPODS, ask, check_whole, emulated_tier
from tests.acceptance.emulator_process import KEY, EmulatedEndpoint, EmulatorProcess, Type
from tests.acceptance.gateway_process import ROOT, GatewayProcess
from tests.acceptance.store_process import StoreProcess

pytestmark = pytest.mark.acceptance

SPEED = 20.0
DRIFT_MAX = 0.01
TRAFFIC_SECONDS = 4.0
"""Of this machine's, after both tiers are awake."""
IDLE_SECONDS = 90
LOAD_SECONDS = 40
ADMIN_KEY = "the-admins-own-key-51c2"
TYPES: Mapping[str, Type] = {"runpod-queue": "QUEUE", "runpod-load-balancer": "LOAD_BALANCER"}
SHOWN = ("attributed", "starting", "idle", "billed", "unexplained")


@dataclass(frozen=True, kw_only=True)
class System:
    """The emulator with one endpoint for each tier, the store, and the gateway that is left."""

    emulator: EmulatorProcess
    endpoints: Mapping[str, EmulatedEndpoint]
    store: StoreProcess
    gateway: GatewayProcess
    tiers_file: Path

    def bill(self, query: str = "") -> list[dict[str, Any]]:
        """The lines as the API answers."""
        answer = self.gateway.call("GET", f"/tiergate/v1/bill?since=1d{query}", key=ADMIN_KEY)
        assert answer.status == 200, answer
        lines: list[dict[str, Any]] = answer.json()["data"]
        return lines

    def billed(self, tier: str) -> float:
        """What the emulator bills for the tier's endpoint, in seconds."""
        state = self.emulator.call("GET", "/emulator/state")
        [told] = [each for each in state["endpoints"] if each["id"] == self.endpoints[tier].id]
        seconds: float = told["billedSeconds"]
        return seconds


def described(endpoints: Mapping[str, EmulatedEndpoint], store: StoreProcess) -> dict[str, Any]:
    """The tier map."""
    tiers = {}
    for transport, endpoint in endpoints.items():
        workers = {"max": 1, "slots": 30, "idle_timeout": f"{IDLE_SECONDS}s"}
        tiers[transport] = emulated_tier(endpoint, transport, workers=workers, gpu="RTX 4090")
        del tiers[transport]["price"]
    return tier_map(tiers, store=store.url, keys=[DEMO])


def environment(emulator: EmulatorProcess) -> dict[str, str]:
    """What the gateways and the commands are started with."""
    return {
        **ENVIRONMENT,
        "TEST_RUNPOD_KEY": KEY,
        "THE_ADMIN_KEY": ADMIN_KEY,
        "TIERGATE_ADMIN_KEY": "env:THE_ADMIN_KEY",
        "TIERGATE_RUNPOD_KEY": "env:TEST_RUNPOD_KEY",
        "TIERGATE_RUNPOD_URL": emulator.origin,
        "TIERGATE_RUNPOD_SPEED": f"{SPEED:g}",
    }


def call(gateways: Sequence[GatewayProcess], transport: str, number: int) -> None:
    """One whole answer, through one of the gateways in turn."""
    check_whole(ask(gateways[number % len(gateways)], transport, stream=False, run=f"{transport}-{number}"))


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[System]:
    """Both have served, the one that looked at health was killed, the other went on, and all workers have gone."""
    with ExitStack() as stack:
        emulator = stack.enter_context(
            EmulatorProcess(tmp_path_factory.mktemp("emulator"), python=gateway_python, speed=SPEED)
        )
        store = stack.enter_context(StoreProcess())
        store.start()
        workers = {"min": 0, "max": 1, "idleTimeout": IDLE_SECONDS}
        endpoints = {name: emulator.endpoint(name, TYPES[name], workers=workers) for name in RUNPODS}
        for endpoint in endpoints.values():
            endpoint.spoil(pullSeconds=5, loadSeconds=LOAD_SECONDS)
        folders = [tmp_path_factory.mktemp("gateway") for _ in range(2)]
        gateways = [
            GatewayProcess(
                folder,
                described(endpoints, store),
                key=GATEWAY_KEY,
                python=gateway_python,
                environment=environment(emulator),
            )
            for folder in folders
        ]
        gateways[0].__enter__()
        stack.enter_context(gateways[1])
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: call(gateways, RUNPODS[number % 2], number // 2), range(4)))
            began = time.monotonic()
            for number in range(4, 10_000, 4):
                half = time.monotonic() - began > TRAFFIC_SECONDS / 2
                if half and len(gateways) > 1:
                    gateways.pop(0).kill()
                list(pool.map(lambda one: call(gateways, RUNPODS[one % 2], one // 2), range(number, number + 4)))
                if time.monotonic() - began > TRAFFIC_SECONDS:
                    break
        system = System(
            emulator=emulator,
            endpoints=endpoints,
            store=store,
            gateway=gateways[0],
            tiers_file=folders[1] / "tiers.yaml",
        )
        system.gateway.wait_until(
            lambda: not any(each["state"] == "running" for one in endpoints.values() for each in one.workers()),
            seconds=2 * IDLE_SECONDS / SPEED,
        )
        books = Redis.from_url(store.url)
        system.gateway.wait_until(lambda: not books.exists("{tiergate}:gpu:workers"))  # nobody is told to work any more
        books.close()
        yield system


def printed(system: System, python: str, *words: str) -> list[dict[str, Any]]:
    """What the command prints, as an operator runs it."""
    command = [python, "-m", "gateway", "bill", "--since", "1d", "--format", "jsonl", *words]
    done = subprocess.run(
        command,
        env=os.environ | environment(system.emulator),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("transport", RUNPODS)
def test_every_billed_second_was_seen_to_one_percent(system: System, transport: str) -> None:
    """Of loading, of requests, and of waiting for the idle timeout; whichever gateway saw it."""
    sums = {name: sum(line[f"{name}_seconds"] for line in system.bill(f"&tier={transport}")) for name in SHOWN}
    assert sums["billed"] == pytest.approx(system.billed(transport), abs=0.01)
    assert sums["attributed"] + sums["starting"] + sums["idle"] + sums["unexplained"] == pytest.approx(sums["billed"])
    assert abs(sums["unexplained"]) <= DRIFT_MAX * sums["billed"], sums
    assert LOAD_SECONDS / 2 < sums["starting"] < 2 * LOAD_SECONDS
    assert sums["idle"] > IDLE_SECONDS
    assert sums["attributed"] > 0


def test_the_command_and_the_api_agree(system: System, gateway_python: str) -> None:
    """Over a gateway, and without one."""
    lines = system.bill()
    over = printed(
        system,
        gateway_python,
        "--gateway",
        system.gateway.url.removesuffix("/v1"),
        "--gateway-key",
        "env:THE_ADMIN_KEY",
    )
    direct = printed(
        system, gateway_python, str(system.tiers_file), "--runpod-key", "env:TEST_RUNPOD_KEY",
        "--runpod-url", system.emulator.origin,
    )  # fmt: skip
    assert over == lines
    assert direct == lines


def test_what_requests_were_charged_is_what_is_attributed(system: System) -> None:
    """Less what the gateway that was killed had not told: its records have all requests that ended."""
    answer = system.gateway.call("GET", "/tiergate/v1/usage?by=tier&since=1d", key=ADMIN_KEY).json()["data"]
    charged = {row["tier"]: float(row["gpu_seconds"]) * SPEED for row in answer}
    for transport in RUNPODS:
        attributed = sum(line["attributed_seconds"] for line in system.bill(f"&tier={transport}"))
        assert attributed == pytest.approx(charged[transport], rel=0.05, abs=2.0)


def test_the_drift_is_a_metric(system: System, tmp_path: Path, gateway_python: str) -> None:
    """Of a gateway that starts now, too: it is read at the start, and every ten minutes from then on."""
    written = described(system.endpoints, system.store)
    with GatewayProcess(
        tmp_path, written, key=GATEWAY_KEY, python=gateway_python, environment=environment(system.emulator)
    ) as gateway:
        gateway.wait_until(lambda: "tiergate_bill_drift_ratio{" in _metrics(gateway))
        shown = dict(line.rsplit(" ", 1) for line in _metrics(gateway).splitlines() if line.startswith("tiergate_bill"))
    for transport in RUNPODS:
        of_tier = f'{{tier="{transport}"}}'
        assert float(shown[f"tiergate_bill_billed_seconds{of_tier}"]) == pytest.approx(
            system.billed(transport), abs=0.01
        )
        assert abs(float(shown[f"tiergate_bill_drift_ratio{of_tier}"])) <= DRIFT_MAX


def _metrics(gateway: GatewayProcess) -> str:
    return gateway.call("GET", "/metrics", key=None).body.decode()
