"""Small local systems made of doubles."""

import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from random import randrange

import pytest

import tests.doubles
from deploy.local.programs import Programs
from tests.doubles.process_ids import Pids

DOUBLES = Path(tests.doubles.__file__).parent
PORTS = (10_000, 30_000)
"""Below those that the kernel gives away."""


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Ports of 127.0.0.1 on which nothing listens now.

    Not the kernel's own choice: what it gives to one that asks for any, it may give to a client's end a moment later.
    """

    def find(count: int) -> list[int]:
        with ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in range(count)]
            for probe in probes:
                while probe.getsockname()[1] == 0:
                    with suppress(OSError):
                        probe.bind(("127.0.0.1", randrange(*PORTS)))
            return [probe.getsockname()[1] for probe in probes]

    return find


TIER_MAP = """\
version: 1
tiers:
  routing:
    model: small-routing
    gpu: RTX 4090
    endpoints:
      - url: http://127.0.0.1:{port}/v2/routing
        transport: runpod-queue
        api_key: env:RUNPOD_API_KEY
        workers: {{max: 1, slots: 2}}
    context: 2048
    slots: 2
  reasoning:
    model: small-reasoning
    gpu: A100 80GB
    endpoints:
      - {{url: "http://127.0.0.1:{port}/v2/reasoning", transport: runpod-queue, api_key: env:RUNPOD_API_KEY}}
    context: 2048
    slots: 2
budgets:
  - {{name: routing-hourly, owner: {{tier: "*"}}, limit: 5 USD, window: 1h}}
  - {{name: per-run, owner: {{run: "*"}}, limit: 5 USD, window: 1h}}
keys:
  - {{name: demo, key: env:TIERGATE_DEMO_KEY}}
"""


@pytest.fixture
def tier_map_text() -> Callable[[int], str]:
    """A tier map with two tiers on an emulator at that port."""
    return lambda port: TIER_MAP.format(port=port)


@pytest.fixture
def double_programs(tmp_path: Path) -> Programs:
    """The doubles as programs that can be run by their paths."""

    def program(name: str) -> str:
        file = tmp_path / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{DOUBLES / name}.py" "$@"\n', encoding="utf-8")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return str(file)

    return Programs(
        emulator=(sys.executable, "-P", "-m", "deploy", "emulate"),
        engine=(program("local_engine"),),
        gateway=(program("local_gateway"),),
        orchestrator=(program("local_orchestrator"),),
    )


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Pids]:
    """Where the doubles leave their process ids; what still lives at the end of a test is ended then."""
    folder = tmp_path / "pids"
    folder.mkdir()
    made = Pids(folder)
    yield made
    for pid in made.alive():
        os.kill(pid, 9)
