"""A long run at 60 % of full load: do memory and tasks stay flat?"""

import http.client
import re
from typing import Any

from bench.answer import request
from bench.mixed_load import MixedLoad, Requests
from bench.slope import Slope, slope
from bench.stage import Part, Stage
from bench.system import System, mock, system
from bench.tier_maps import tier_map

LOAD = 0.6
CLIENTS = 96
FULL_SECONDS = 8.0
"""How long the full load is measured."""
SAMPLE_SECONDS = 10.0
WARM_SHARE = 0.3
"""The first part of the samples is not looked at: buffers and caches find their size, the collector has been there."""
RSS_TOLERANCE_KIB = 16.0
"""Growth per minute that counts as none: 23 MiB a day."""
TASKS_TOLERANCE = 0.05
"""Growth per minute that counts as none: one task in twenty minutes."""
TOKENS = 32
KNOBS_WHOLE, KNOBS_STREAM = "[[d=20]]", f"[[n={TOKENS}]][[p=5]]"
_TASKS = re.compile(rb"^tiergate_event_loop_tasks(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


def measure(stage: Stage) -> dict[str, Any]:
    """Find the full load, then drive 60 % of it for the stage's minutes; samples, slopes and how the calls ended."""
    harness = stage.harness
    text = tier_map({"fast": f"http://127.0.0.1:{harness.upstream_port}/v1"})
    requests = Requests(
        whole=request(harness.port, harness.key, harness.body("fast", KNOBS_WHOLE, stream=False)),
        stream=request(harness.port, harness.key, harness.body("fast", KNOBS_STREAM, stream=True)),
        events=TOKENS + 3,
    )
    with mock(stage) as upstream, system(stage, text, probe=("fast", harness.key), neighbours=[upstream]) as running:
        full = _full_rate(running, requests, harness.port)
        rate, seconds = LOAD * full, stage.soak_minutes * 60
        stage.say(f"full load {full:.0f} calls per second; {rate:.0f} per second for {stage.soak_minutes:g} minutes")
        samples: list[dict[str, float]] = []
        every = 2.0 if stage.quick else SAMPLE_SECONDS
        load, used = MixedLoad(harness.port, requests), running.gateway_seconds
        load.open_loop(rate, seconds, every_seconds=every, sample=lambda at: samples.append(_sample(running, at)))
        share = (running.gateway_seconds - used) / seconds
        load.finish()
    kept = [sample for sample in samples if sample["minute"] >= WARM_SHARE * stage.soak_minutes]
    found = {
        "minutes": stage.soak_minutes,
        "full_rate": round(full),
        "rate": round(rate),
        "gateway_share": round(share, 3),
        "calls": dict(load.counts),
        "complaints": load.complaints,
        "rss_kib_per_minute": _judged(kept, "rss_kib", RSS_TOLERANCE_KIB),
        "tasks_per_minute": _judged(kept, "tasks", TASKS_TOLERANCE),
        "samples": samples,
    }
    stage.say(
        f"calls {found['calls']}; KiB per minute {found['rss_kib_per_minute']}; tasks {found['tasks_per_minute']}"
    )
    return found


def _full_rate(running: System, requests: Requests, port: int) -> float:
    """Calls per second at which the gateway's core would have nothing left, from a closed loop near it."""
    load = MixedLoad(port, requests)
    load.closed_loop(CLIENTS, 2.0)
    ended, used = load.ended, running.gateway_seconds
    load.closed_loop(CLIENTS, FULL_SECONDS)
    rate = (load.ended - ended) / (running.gateway_seconds - used)
    load.finish()
    return rate


def _sample(running: System, at_seconds: float) -> dict[str, float]:
    connection = http.client.HTTPConnection("127.0.0.1", running.harness.port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        found = _TASKS.findall(connection.getresponse().read())
    finally:
        connection.close()
    sample = {"minute": round(at_seconds / 60, 3), "rss_kib": running.gateway_kib}
    return sample | ({"tasks": sum(float(value) for value in found)} if found else {})


def _judged(samples: list[dict[str, float]], what: str, tolerance: float) -> dict[str, Any] | None:
    """The slope of ``what`` and whether it is flat; ``None`` where nothing was sampled."""
    seen = [sample for sample in samples if what in sample]
    try:
        line: Slope = slope([sample["minute"] for sample in seen], [sample[what] for sample in seen])
    except ValueError:
        return None
    return {
        "slope": round(line.per_unit, 3),
        "error": round(line.error, 3),
        "tolerance": tolerance,
        "flat": line.flat(tolerance=tolerance),
    }


def _seconds(stage: Stage) -> float:
    return stage.soak_minutes * 60 + FULL_SECONDS + 6


PART = Part(name="soak", title="60 % load for a long time: memory and tasks", seconds=_seconds, measure=measure)
