"""Small local systems made of doubles."""

import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import tests.doubles
from deploy.local.programs import Programs
from tests.doubles.process_ids import Pids
from tiers.price import GpuPrice
from tiers.tiermap import Budget, Endpoint, Key, Owner, SecretReference, Tier, TierMap

DOUBLES = Path(tests.doubles.__file__).parent


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Ports of 127.0.0.1 on which nothing listens now."""

    def find(count: int) -> list[int]:
        with ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in range(count)]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            return [probe.getsockname()[1] for probe in probes]

    return find


@pytest.fixture
def make_tier_map() -> Callable[..., TierMap]:
    """A tier map with one tier per port, ``routing`` first."""

    def make(*ports: int, demo_variable: str = "TIERGATE_DEMO_KEY") -> TierMap:
        tiers = {
            name: Tier(
                name=name,
                model=f"small-{name}",
                price=GpuPrice(microdollars_per_second=310),
                endpoints=(Endpoint(name=f"{name}/0", url=f"http://127.0.0.1:{port}/v1"),),
                context=2048,
                output=256,
                slots=2,
            )
            for name, port in zip(("routing", "reasoning"), ports, strict=False)
        }
        budgets = tuple(
            Budget(name=name, owner=Owner(kind=kind, pattern="*"), unit="USD", limit=5, window_seconds=3600)
            for name, kind in (("routing-hourly", "tier"), ("per-run", "run"))
        )
        key = Key(name="demo", secret=SecretReference("env", demo_variable))
        return TierMap(store="embedded", tiers=tiers, budgets=budgets, keys=(key,))

    return make


@pytest.fixture
def double_programs(tmp_path: Path) -> Programs:
    """The doubles as programs that can be run by their paths."""

    def program(name: str) -> str:
        file = tmp_path / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{DOUBLES / name}.py" "$@"\n', encoding="utf-8")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return str(file)

    return Programs(
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
