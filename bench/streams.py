"""5,000 slow streams at once in one process: each complete, none held back, and what an open one costs in memory."""

import time
from collections.abc import Callable
from typing import Any

from bench.answer import request
from bench.slow_streams import Schedule, complete, delays, run
from bench.stage import Part, Stage
from bench.system import mock, system
from bench.tier_maps import tier_map

THOROUGH = Schedule(count=5_000, opened_per_second=250.0, tokens=45, pace_seconds=1.0)
QUICK = Schedule(count=500, opened_per_second=250.0, tokens=6, pace_seconds=1.0)
WARM_CLIENTS, WARM_SECONDS = 64, 2.0
SETTLE_SECONDS = 6.0
"""After the last stream; the gateway keeps unused connections for 4 s."""


def measure(stage: Stage) -> dict[str, Any]:
    """The same streams from the mock itself and through the gateway; delays of both, the gateway's memory and CPU."""
    harness, schedule = stage.harness, QUICK if stage.quick else THOROUGH
    knobs = f"[[n={schedule.tokens}]][[p={schedule.pace_seconds * 1000:g}]]"
    text = tier_map({"fast": f"http://127.0.0.1:{harness.upstream_port}/v1"})
    with mock(stage) as upstream:
        with system(stage, text, probe=("fast", harness.key), neighbours=[upstream]) as running:
            harness.drive(
                "fast", stage.scratch, port=harness.port, clients=WARM_CLIENTS, seconds=WARM_SECONDS,
                knobs="[[n=64]]", stream=True,
            )  # fmt: skip
            opened: list[float] = []
            before, used = running.gateway_kib, running.gateway_seconds
            wanted = request(harness.port, harness.key, harness.body("fast", knobs, stream=True))
            through = _figures(schedule, harness.port, wanted, when_all_open=lambda: opened.append(running.gateway_kib))
            cpu = running.gateway_seconds - used
            time.sleep(SETTLE_SECONDS)
            after = running.gateway_kib
        stage.say(_told("through the gateway", through))
        wanted = request(harness.upstream_port, harness.key, harness.body("Qwen/Qwen3-8B", knobs, stream=True))
        direct = _figures(schedule, harness.upstream_port, wanted, when_all_open=lambda: None)
        stage.say(_told("from the mock itself", direct))
    return {
        "streams": schedule.count,
        "tokens": schedule.tokens,
        "pace_ms": schedule.pace_seconds * 1000,
        "through": through,
        "direct": direct,
        "rss_before_kib": round(before),
        "rss_open_kib": round(opened[0]),
        "rss_after_kib": round(after),
        "kib_per_stream": round((opened[0] - before) / schedule.count, 2),
        "cpu_us_per_event": round(cpu / (schedule.count * schedule.tokens) * 1e6, 1),
    }


def _figures(schedule: Schedule, port: int, wanted: bytes, *, when_all_open: Callable[[], None]) -> dict[str, Any]:
    streams = run(port, wanted, schedule, when_all_open=when_all_open)
    late = sorted(1000 * each for stream in streams for each in delays(stream, schedule.pace_seconds)) or [0.0]
    return {
        "complete": sum(complete(stream, schedule.tokens) for stream in streams),
        "events": len(late),
        "batched": sum(stream.batched for stream in streams),
        **{f"delay_p{point}_ms": round(_percentile(late, point), 2) for point in (50, 99)},
        "delay_max_ms": round(late[-1], 2),
    }


def _percentile(ascending: list[float], point: int) -> float:
    return ascending[min(len(ascending) - 1, len(ascending) * point // 100)]


def _told(where: str, found: dict[str, Any]) -> str:
    return (
        f"{where}: {found['complete']} complete, {found['batched']} tokens batched, delay p50 {found['delay_p50_ms']} "
        f"p99 {found['delay_p99_ms']} max {found['delay_max_ms']} ms"
    )


def _seconds(stage: Stage) -> float:
    return 2 * (QUICK if stage.quick else THOROUGH).seconds + SETTLE_SECONDS + 8


PART = Part(
    name="streams", title="many slow streams at once: complete, prompt, small", seconds=_seconds, measure=measure
)
