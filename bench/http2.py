"""Would HTTP/2 to the endpoint be cheaper? Four clients in turn, the same requests, over TLS to the same nginx.

Each client is a process of its own on the gateway's core; its CPU time per request is compared. The gateway itself is
not in this race: it is the client in its inside that could be another one.
"""

import json
import subprocess
from statistics import median
from typing import Any

from bench.stage import ROOT, Part, Stage
from bench.system import mock
from bench.terminator import Door, terminator
from bench.tier_maps import MODEL
from bench.tools import environment

DOORS = (Door(name="http/1.1", tls="TLSv1.3"), Door(name="http/2", tls="TLSv1.3", http2=True))
CLIENTS = (("own", "http/1.1"), ("pyqwest", "http/1.1"), ("pyqwest", "http/2"), ("h2", "http/2"))
"""Client, door. ``own`` is ``gateway.upstream``, ``h2`` is pure Python, ``pyqwest`` is Rust (reqwest, hyper)."""
TOGETHER = 64
REQUESTS = {"json": 6_000, "stream": 768}
QUICK_REQUESTS = {"json": 1_000, "stream": 128}
KNOBS = {"json": "", "stream": "[[n=64]][[p=5]]"}


def measure(stage: Stage) -> dict[str, Any]:
    """CPU µs per request of each client, for whole answers and for paced streams."""
    variables = environment(stage)
    rows: list[dict[str, Any]] = []
    with mock(stage), terminator(stage, DOORS) as front:
        for load, knobs in KNOBS.items():
            body = stage.scratch / "body.json"
            body.write_bytes(stage.harness.body(MODEL, knobs, stream=load == "stream"))
            for number in range(1, stage.rounds + 1):
                for client, door in CLIENTS:
                    count = (QUICK_REQUESTS if stage.quick else REQUESTS)[load]
                    command = [
                        "taskset", "-c", stage.harness.gateway_core, str(stage.python), "-P",
                        str(ROOT / "bench/http_clients.py"), client, front.urls[door], str(front.authority),
                        str(body), str(count), str(TOGETHER),
                    ]  # fmt: skip
                    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
                    if done.returncode:
                        raise RuntimeError(f"{client} over {door}: {done.stderr[-600:]}")
                    row = {"client": client, "protocol": door, "load": load, "round": number, **json.loads(done.stdout)}
                    rows.append(row)
                    stage.say(f"{load:6s} {client:8s} {door:8s} {row['cpu_us']:7.1f} µs per request")
    return {
        "rows": rows,
        **{
            load: {
                f"{client} {door}": median(
                    row["cpu_us"]
                    for row in rows
                    if (row["client"], row["protocol"], row["load"]) == (client, door, load)
                )
                for client, door in CLIENTS
            }
            for load in KNOBS
        },
    }


def _seconds(stage: Stage) -> float:
    return stage.rounds * len(CLIENTS) * (5 if stage.quick else 16)


PART = Part(
    name="http2", title="HTTP/1.1 against HTTP/2: the client's CPU per request", seconds=_seconds, measure=measure
)
