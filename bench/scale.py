"""Does a large installation cost more per request? 10,000 keys and 200 tiers against 1 key and 2 tiers.

Both run at the same time and are under load in turn, for two seconds each: what the machine does meanwhile, and for
minutes differently, meets both alike.
"""

import json
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from bench.stage import Part, Stage
from bench.system import System, measured, mock, system
from bench.tier_maps import key_of, tier_map, tier_of

CLIENTS = 64
WINDOW_SECONDS = 2.0
TURNS = 8
"""How many windows each size has per round."""

REQUEST = """
local made = 0
local before, after = wrk.body:match('^(.-)TIER(.*)$')
request = function()
  made = made + 1
  local headers = {["Content-Type"] = "application/json", ["Accept"] = "*/*"}
  headers["Authorization"] = string.format("Bearer sk-bench-%%05d", (made * 7919) %% %(keys)d)
  headers["traceparent"] = string.format("00-%%032x-%%016x-01", made, made)
  local tier = string.format("tier-%%03d", (made * 31) %% %(tiers)d)
  return wrk.format(nil, nil, headers, before .. tier .. after)
end
"""
"""Each request has the next key and the next tier; both steps are prime to the counts, so that all have their turn.

In both sizes each has a trace of its own: a head that came before on its connection is read faster, and what is
compared here is the size of the map.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One installation's size."""

    keys: int
    tiers: int


SMALL, LARGE = Size(keys=1, tiers=2), Size(keys=10_000, tiers=200)


def measure(stage: Stage) -> dict[str, Any]:
    """Both sizes in turn, the same load otherwise; budgets per key and per tier on."""
    rows = []
    url = f"http://127.0.0.1:{stage.harness.upstream_port}/v1"
    with mock(stage) as upstream:
        for number in range(1, stage.rounds + 1):
            with ExitStack() as stack:
                both: list[tuple[Size, System]] = []
                for beside, size in enumerate((SMALL, LARGE)):
                    text = tier_map({tier_of(tier): url for tier in range(size.tiers)}, keys=size.keys)
                    probe = (tier_of(0), key_of(0))
                    running = stack.enter_context(
                        system(stage, text, probe=probe, neighbours=[upstream], beside=beside)
                    )
                    both.append((size, running))
                    _rotate(stage, running, size, 3.0)  # every key has been seen, every tier has its connections
                for _ in range(TURNS):
                    for size, running in both:
                        drive = partial(_rotate, stage, running, size, stage.seconds(WINDOW_SECONDS))
                        row = measured(running, drive)
                        rows.append({"keys": size.keys, "tiers": size.tiers, "round": number, **row})
            small, large = (_cpu_us([row for row in rows if row["round"] == number], size) for size in (SMALL, LARGE))
            stage.say(f"round {number}: {small:.1f} and {large:.1f} µs per request, {large / small:.2f} times as much")
    small, large = (_cpu_us(rows, size) for size in (SMALL, LARGE))
    return {"rows": rows, "small_us": small, "large_us": large, "ratio": round(large / small, 3)}


def _cpu_us(rows: list[dict[str, Any]], size: Size) -> float:
    return float(median(row["cpu_us"] for row in rows if row["keys"] == size.keys))


def _rotate(stage: Stage, running: System, size: Size, seconds: float) -> dict[str, Any]:
    harness, script = stage.harness, stage.scratch / "rotate.lua"
    body = harness.body("TIER", "", stream=False).decode()
    request = REQUEST % {"keys": size.keys, "tiers": size.tiers}
    script.write_text(harness.bench.LUA % (body, request), encoding="utf-8")
    command = [
        *harness.bench.NICE, "taskset", "-c", harness.load_core, "wrk", "-t1", f"-c{CLIENTS}",
        f"-d{round(seconds)}s", "--timeout", "30s", "-s", str(script), f"http://127.0.0.1:{running.port}",
    ]  # fmt: skip
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    report: dict[str, Any] = json.loads(said[said.index("JSON") + 4 :].splitlines()[0])
    return report


def _seconds(stage: Stage) -> float:
    return stage.rounds * 2 * (TURNS * (stage.seconds(WINDOW_SECONDS) + 0.4) + 8)


PART = Part(
    name="scale", title="10,000 keys and 200 tiers against 1 and 2: CPU per request", seconds=_seconds, measure=measure
)
