"""A gateway under load with its neighbours: a store and the mock endpoint; started, watched and stopped by id."""

import http.client
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from bench.harness import Harness
from bench.stage import Stage
from bench.tier_maps import KEY_VARIABLE

READY_SECONDS = 60.0
"""How long the gateway may take until it serves; a map of 10,000 keys is read in a few seconds."""
OTHERS_MAX = 0.25
"""A window in which strangers took more than this share of a core is measured again."""
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What runs; ``neighbours`` are the store, the mock and whatever else the part started."""

    harness: Harness
    port: int
    """Where the gateway listens."""
    gateway: "Popen[bytes]"
    neighbours: tuple["Popen[bytes]", ...]

    @property
    def gateway_processes(self) -> list[int]:
        """The gateway's process and its children."""
        return self.harness.tree(self.gateway.pid)

    @property
    def gateway_seconds(self) -> float:
        """CPU seconds that the gateway has used so far."""
        return self.harness.cpu_seconds(self.gateway_processes)

    @property
    def gateway_kib(self) -> float:
        """The gateway's resident memory in KiB."""
        return self.harness.rss_kib(self.gateway_processes)

    def own_seconds(self) -> float:
        """CPU seconds of everything that belongs to the measurement, this driver and its children included."""
        processes = [*self.gateway_processes, *(one for each in self.neighbours for one in self.harness.tree(each.pid))]
        return self.harness.cpu_seconds(processes) + sum(os.times()[:4])


@contextmanager
def mock(stage: Stage) -> Iterator["Popen[bytes]"]:
    """The mock endpoint, on the load's core."""
    harness = stage.harness
    harness.claim(harness.upstream_port)
    with program(stage, [str(harness.folder / "bin/mock"), str(harness.upstream_port)], name="mock") as process:
        harness.wait_port(harness.upstream_port)
        yield process


@contextmanager
def program(stage: Stage, command: Sequence[str], *, name: str) -> Iterator["Popen[bytes]"]:
    """A program on the load's core, stopped at the end."""
    harness = stage.harness
    process = harness.start(command, core=harness.load_core, log=stage.scratch / f"{name}.log", environment={})
    try:
        yield process
    finally:
        harness.stop(process)


@contextmanager
def system(
    stage: Stage,
    tier_map: str,
    *,
    probe: tuple[str, str],
    neighbours: Sequence["Popen[bytes]"] = (),
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    beside: int = 0,
) -> Iterator[System]:
    """A fresh store and a gateway with ``tier_map``, everything on; yields when a request was answered.

    Args:
        stage: The setting.
        tier_map: The map's text.
        probe: A tier and a key with which the first request asks.
        neighbours: What else runs for it, the mock first; they are the caller's to stop.
        options: More words for ``tiergate-gateway serve``.
        environment: More variables for it.
        beside: How many others of these run at the same time; each has ports and files of its own.

    Raises:
        RuntimeError: It ended, or answered nothing in time; the message has what it said.
    """
    harness, folder = stage.harness, stage.scratch / str(beside)
    folder.mkdir(exist_ok=True)
    port, store_port = harness.port + beside, harness.store_port + beside
    file, log = folder / "tiers.yaml", folder / "gateway.log"
    file.write_text(tier_map, encoding="utf-8")
    log.unlink(missing_ok=True)
    store = [
        "redis-server", "--port", str(store_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
        "--dir", str(folder),
    ]  # fmt: skip
    serve = [
        str(stage.gateway), "serve", "--tiers", str(file), "--port", str(port),
        "--store", f"redis://127.0.0.1:{store_port}", "--state-directory", str(folder / "state"), *options,
    ]  # fmt: skip
    variables = {KEY_VARIABLE: harness.key, **(environment or {})}
    harness.claim(port, store_port)
    with ExitStack() as stack:
        redis = stack.enter_context(program(stage, store, name=f"{beside}/redis"))
        harness.wait_port(store_port)
        gateway = harness.start(serve, core=harness.gateway_core, log=log, environment=variables)
        stack.callback(harness.stop, gateway)
        _wait_until_served(port, harness.body(probe[0], "", stream=False), probe[1], gateway, log)
        yield System(harness=harness, port=port, gateway=gateway, neighbours=(*neighbours, redis))


def measured(running: System, drive: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``drive`` reports, with the gateway's CPU µs per request (``n``), its share of a core and its memory."""
    harness, report = running.harness, {}
    for _ in range(TRIES):
        harness.quiet()
        began, machine, own, cpu = _clock(), harness.machine_seconds(), running.own_seconds(), running.gateway_seconds
        report = drive()
        used, passed = running.gateway_seconds - cpu, _clock() - began
        others = harness.machine_seconds() - machine - (running.own_seconds() - own)
        report |= {
            "cpu_us": round(used / max(1, report["n"]) * 1e6, 1),
            "gateway_share": round(used / passed, 3),
            "others_share": round(others / passed, 3),
            "rss_mib": round(running.gateway_kib / 1024, 1),
        }
        if report["others_share"] < OTHERS_MAX:
            break
    return report


def _wait_until_served(port: int, body: bytes, key: str, gateway: "Popen[bytes]", log: Path) -> None:
    end, why = _clock() + READY_SECONDS, "nothing listens"
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    while _clock() < end and gateway.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == http.client.OK and b'"usage"' in text:
                return
            why = f"{answer.status} {text[:300]!r}"
        except (OSError, http.client.HTTPException) as error:
            why = repr(error)
        finally:
            connection.close()
        time.sleep(0.1)
    raise RuntimeError(f"the gateway does not serve: {why}; it said: {log.read_text(errors='replace')[-600:]!r}")


def _clock() -> float:
    return time.monotonic()
