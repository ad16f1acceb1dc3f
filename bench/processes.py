"""Two gateway processes against one.

Load, mock and store need about as much CPU as the gateway, so on two cores a second process cannot show twice the
requests per second: there is no free core. So each process gets a small share of a core by the kernel's quota, about
what ``RATE`` requests per second need. Then the gateway is the narrow place with one process and with two, and the
rest of the machine has room, also for the second process on the load's core; two processes that do not stand in each
other's way serve twice as much, over the same connections. Beside it: CPU per request without quotas, under one and
the same load, since what a second process costs there would be missing everywhere.
"""

import os
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from bench.cpu_quota import limited
from bench.stage import Part, Stage
from bench.system import System, measured, mock, system
from bench.tier_maps import tier_map

CLIENTS = 64
RATE = 1_500.0
"""Requests per second that one process shall be able to serve with its share."""
WINDOW_SECONDS = 6.0
COUNTS = (1, 2)


def measure(stage: Stage) -> dict[str, Any]:
    """One and two processes in turn: requests per second under quotas, CPU per request without."""
    rows: list[dict[str, Any]] = []
    share = 0.0
    text = tier_map({"fast": f"http://127.0.0.1:{stage.harness.upstream_port}/v1"})
    with mock(stage) as upstream:
        for number in range(1, stage.rounds + 1):
            for count in COUNTS:
                options = ["--processes", str(count)] if count > 1 else []
                probe = ("fast", stage.harness.key)
                with system(stage, text, probe=probe, neighbours=[upstream], options=options) as running:
                    _spread(running)
                    _drive(stage, "", 2.0)
                    free = measured(running, lambda: _drive(stage, "[[d=50]]", stage.seconds(WINDOW_SECONDS)))
                    full = measured(running, lambda: _drive(stage, "", stage.seconds(3.0)))
                    share = share or min(0.4, RATE * full["cpu_us"] / 1e6)
                    capped = _capped(stage, running, share)
                row = {"processes": count, "round": number, "share": round(share, 3), "free": free, "capped": capped}
                rows.append(row)
                stage.say(
                    f"{count} processes, {share:.0%} of a core each: {capped['rps']:.0f} req/s; "
                    f"without quota {free['cpu_us']} µs per request"
                )
    rate = {count: median(row["capped"]["rps"] for row in rows if row["processes"] == count) for count in COUNTS}
    cost = {count: median(row["free"]["cpu_us"] for row in rows if row["processes"] == count) for count in COUNTS}
    return {
        "rows": rows,
        "ratio": round(rate[2] / rate[1], 3),
        "one_rps": rate[1],
        "two_rps": rate[2],
        "one_cpu_us": cost[1],
        "two_cpu_us": cost[2],
    }


def _spread(running: System) -> None:
    """Give each serving process a core: the first the gateway's, the second the load's, which has room under quotas."""
    parent, *children = running.gateway_processes
    cores = cycle((running.harness.gateway_core, running.harness.load_core))
    for process, core in zip(children or [parent], cores, strict=False):
        for thread in Path(f"/proc/{process}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {int(core)})


def _capped(stage: Stage, running: System, share: float) -> dict[str, Any]:
    """Under quotas; every process of the gateway has its own, one that only watches the others uses nothing of it."""
    with limited(running.gateway_processes, share):
        _drive(stage, "", 1.0)
        return measured(running, lambda: _drive(stage, "", stage.seconds(WINDOW_SECONDS)))


def _drive(stage: Stage, knobs: str, seconds: float) -> dict[str, Any]:
    harness = stage.harness
    return harness.drive(
        "fast", stage.scratch, port=harness.port, clients=CLIENTS, seconds=seconds, knobs=knobs, stream=False
    )


def _seconds(stage: Stage) -> float:
    return stage.rounds * 2 * (2 * stage.seconds(WINDOW_SECONDS) + stage.seconds(3.0) + 9)


PART = Part(name="processes", title="two processes against one: requests per second", seconds=_seconds, measure=measure)
