"""Does a large installation cost more per request? 10,000 keys and 200 tiers against 1 key and 2 tiers."""

import json
import subprocess
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from bench.stage import Part, Stage
from bench.system import measured, mock, system
from bench.tier_maps import key_of, tier_map, tier_of

CLIENTS = 64
WINDOW_SECONDS = 4.0

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
    with mock(stage) as upstream:
        url = f"http://127.0.0.1:{stage.harness.upstream_port}/v1"
        for number in range(1, stage.rounds + 1):
            for size in (SMALL, LARGE):
                text = tier_map({tier_of(tier): url for tier in range(size.tiers)}, keys=size.keys)
                with system(stage, text, probe=(tier_of(0), key_of(0)), neighbours=[upstream]) as running:
                    _rotate(stage, size, 3.0)  # every key has been seen, every tier has its connections
                    row = measured(running, partial(_rotate, stage, size, stage.seconds(WINDOW_SECONDS)))
                rows.append({"keys": size.keys, "tiers": size.tiers, "round": number, **row})
                stage.say(f"{size.keys:6d} keys, {size.tiers:3d} tiers: {row['cpu_us']} µs per request")
    small, large = (median(row["cpu_us"] for row in rows if row["keys"] == size.keys) for size in (SMALL, LARGE))
    return {"rows": rows, "small_us": small, "large_us": large, "ratio": round(large / small, 3)}


def _rotate(stage: Stage, size: Size, seconds: float) -> dict[str, Any]:
    harness, script = stage.harness, stage.scratch / "rotate.lua"
    body = harness.body("TIER", "", stream=False).decode()
    request = REQUEST % {"keys": size.keys, "tiers": size.tiers}
    script.write_text(harness.bench.LUA % (body, request), encoding="utf-8")
    command = [
        *harness.bench.NICE, "taskset", "-c", harness.load_core, "wrk", "-t1", f"-c{CLIENTS}",
        f"-d{round(seconds)}s", "--timeout", "30s", "-s", str(script), f"http://127.0.0.1:{harness.port}",
    ]  # fmt: skip
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    report: dict[str, Any] = json.loads(said[said.index("JSON") + 4 :].splitlines()[0])
    return report


def _seconds(stage: Stage) -> float:
    return stage.rounds * (2 * (stage.seconds(WINDOW_SECONDS) + 5) + 8)


PART = Part(
    name="scale", title="10,000 keys and 200 tiers against 1 and 2: CPU per request", seconds=_seconds, measure=measure
)
