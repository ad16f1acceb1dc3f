"""TLS to the endpoint: what it costs on a kept connection, and what a new connection costs with and without a session.

The plain calls go through the same nginx, so that only TLS differs. Addresses are numbers: no name is looked up.
"""

from contextlib import ExitStack
from statistics import median
from typing import Any

from bench.stage import Part, Stage
from bench.system import System, measured, mock, system
from bench.terminator import Door, Terminator, terminator
from bench.tier_maps import tier_map

KEPT = (Door(name="plain"), Door(name="tls", tls="TLSv1.3"))
NEW = (
    Door(name="new-plain", reuse=False),
    Door(name="new-tls13-full", tls="TLSv1.3", reuse=False, tickets=False),
    Door(name="new-tls13-resumed", tls="TLSv1.3", reuse=False),
    Door(name="new-tls12-full", tls="TLSv1.2", reuse=False, tickets=False),
    Door(name="new-tls12-resumed", tls="TLSv1.2", reuse=False),
)
KEPT_CLIENTS, NEW_CLIENTS = 64, 16
WINDOW_SECONDS = 4.0


def measure(stage: Stage) -> dict[str, Any]:
    """Each door in turn: CPU per request, and how many of the handshakes were resumed."""
    harness, doors = stage.harness, (*KEPT, *NEW)
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        upstream = stack.enter_context(mock(stage))
        front = stack.enter_context(terminator(stage, doors))
        running = stack.enter_context(
            system(
                stage,
                tier_map(front.urls),
                probe=(KEPT[0].name, harness.key),
                neighbours=[upstream, front.process],
                environment={"SSL_CERT_FILE": str(front.authority)},
            )
        )
        for number in range(1, stage.rounds + 1):
            for stream in (False, True):
                rows += [_row(stage, running, front, door, number, stream=stream) for door in KEPT]
            rows += [_row(stage, running, front, door, number, stream=False) for door in NEW]
    cost = {
        (name, load): median(row["cpu_us"] for row in rows if (row["door"], row["load"]) == (name, load))
        for name, load in {(row["door"], row["load"]) for row in rows}
    }
    return {
        "rows": rows,
        "json_us": {door.name: cost[door.name, "json"] for door in KEPT},
        "stream_us": {door.name: cost[door.name, "stream"] for door in KEPT},
        "new_connection_us": {door.name: round(cost[door.name, "json"] - cost["plain", "json"], 1) for door in NEW},
    }


def _row(stage: Stage, running: System, front: Terminator, door: Door, number: int, *, stream: bool) -> dict[str, Any]:
    clients = KEPT_CLIENTS if door.reuse else NEW_CLIENTS

    def drive(seconds: float) -> dict[str, Any]:
        knobs = "[[n=64]][[p=5]]" if stream else ""
        return stage.harness.drive(
            door.name, stage.scratch, port=stage.harness.port, clients=clients, seconds=seconds, knobs=knobs,
            stream=stream,
        )  # fmt: skip

    drive(1.0)
    before = front.handshakes()
    row: dict[str, Any] = {"door": door.name, "load": "stream" if stream else "json", "round": number}
    row |= measured(running, lambda: drive(stage.seconds(WINDOW_SECONDS)))
    made = front.handshakes() - before
    if door.tls and not door.reuse:
        row["resumed_share"] = round(made[door.tls, True] / max(1, made.total()), 3)
    stage.say(
        f"{door.name:18s} {row['load']:6s} {row['cpu_us']:7.1f} µs per request, {row['errors']}/{row['non200']} wrong"
        + (f", {row['resumed_share']:.0%} resumed" if "resumed_share" in row else "")
    )
    return row


def _seconds(stage: Stage) -> float:
    return stage.rounds * (2 * len(KEPT) + len(NEW)) * (stage.seconds(WINDOW_SECONDS) + 2) + 6


PART = Part(
    name="tls", title="TLS to the endpoint: kept, new and resumed connections", seconds=_seconds, measure=measure
)
