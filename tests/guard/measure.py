"""What is counted, how often, and what the counts come to."""

import http.client
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low

from tests.guard import traffic
from tests.guard.callgrind import CallgrindFailed
from tests.guard.counted_gateway import CountedGateway
from tests.guard.lockstep import Lockstep, OutOfStep
from tests.guard.rate import Count, per_request, per_second

ROUNDS = 3
WARM_UP = {"json": 20, "stream": 3}
"""Before anything is counted: connections, caches, and Python's specialised bytecode come to rest."""
COUNTED = {"json": 200, "stream": 30}
"""Requests in one count."""
SLOW = 50
"""JSON requests in one count with a pause after each."""
PAUSE_SECONDS = 0.02
RATES = {"json": 160, "stream": 32}
"""Requests per second that share a second's own cost: what two cores of 2026 do under callgrind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Instructions per request by what was asked: the median of all rounds, and every round's own."""

    figures: Mapping[str, int]
    rounds: Mapping[str, tuple[int, ...]]
    second: int
    """Instructions of a second by itself."""


@dataclass(slots=True, kw_only=True)
class _Counts:
    """What the rounds counted."""

    json: list[Count] = field(default_factory=list)
    slow: list[Count] = field(default_factory=list)
    stream: list[Count] = field(default_factory=list)


def measure(python: Path, *, profiles: Path | None = None) -> Measured:
    """Count with ``python``'s gateway; callgrind's last profiles go to the folder ``profiles``.

    Raises:
        CallgrindFailed: The gateway does not run, or did not do what was to be counted; the message has its log's end.
    """
    with tempfile.TemporaryDirectory(prefix="guard-") as name, Lockstep() as lockstep:
        gateway = CountedGateway(python, traffic.tier_map(lockstep.url), Path(name))
        try:
            with gateway:
                lockstep.connect(gateway.port)
                counts = _rounds(gateway, lockstep, profiles)
                _expect_budgets(gateway.port)
        except OutOfStep as error:
            raise CallgrindFailed(f"{error}; the gateway's log:\n{gateway.log_tail()}") from error
        _expect_records(gateway)
    return measured(counts.json, counts.slow, counts.stream)


def measured(json_counts: list[Count], slow: list[Count], streams: list[Count]) -> Measured:
    """What the counts come to."""
    second = median_low(per_second(quick, paced) for quick, paced in zip(json_counts, slow, strict=True))
    rounds = {
        kind: tuple(per_request(count, second=second, rate=RATES[kind]) for count in counts)
        for kind, counts in (("json", json_counts), ("stream", streams))
    }
    figures = {kind: median_low(each) for kind, each in rounds.items()}
    return Measured(figures=figures, rounds=rounds, second=round(second))


def _rounds(gateway: CountedGateway, lockstep: Lockstep, profiles: Path | None) -> _Counts:
    _repeat(lockstep.ask, WARM_UP["json"])
    _repeat(lockstep.stream, WARM_UP["stream"])
    gateway.switch_on()
    counts = _Counts()
    for _ in range(ROUNDS):
        counts.slow.append(_count(gateway, lockstep.ask, SLOW, pause_seconds=PAUSE_SECONDS))
        counts.json.append(_count(gateway, lockstep.ask, COUNTED["json"], keep=(profiles, "json")))
        counts.stream.append(_count(gateway, lockstep.stream, COUNTED["stream"], keep=(profiles, "stream")))
    return counts


def _count(
    gateway: CountedGateway,
    once: Callable[[], None],
    times: int,
    *,
    pause_seconds: float = 0.0,
    keep: tuple[Path | None, str] = (None, ""),
) -> Count:
    took: list[float] = []

    def work() -> None:
        start = time.monotonic()
        _repeat(once, times, pause_seconds=pause_seconds)
        took.append(time.monotonic() - start)

    instructions, profile = gateway.count(work)
    folder, name = keep
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.callgrind").write_bytes(profile.read_bytes())
    return Count(instructions=instructions, requests=times, seconds=took[0])


def _repeat(once: Callable[[], None], times: int, *, pause_seconds: float = 0.0) -> None:
    for _ in range(times):
        once()
        if pause_seconds:
            time.sleep(pause_seconds)


def _expect_budgets(port: int) -> None:
    """Each of both budgets was charged: a gateway that skips them is cheap, and not what was to be counted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/tiergate/v1/budgets", headers={"authorization": f"Bearer {traffic.KEY}"})
        balances = json.loads(connection.getresponse().read())["data"]
    finally:
        connection.close()
    settled = {balance["budget"] for balance in balances if balance["settled"]}
    if settled != {budget["name"] for budget in traffic.tier_map("")["budgets"]}:
        raise CallgrindFailed(f"not every budget was charged: {balances}")


def _expect_records(gateway: CountedGateway) -> None:
    """Every request left its log line, ended well, and was paid for."""
    wanted = {
        False: WARM_UP["json"] + ROUNDS * (COUNTED["json"] + SLOW),
        True: WARM_UP["stream"] + ROUNDS * COUNTED["stream"],
    }
    good = [one for one in gateway.records() if one["outcome"] == "ok" and one["cost_microdollars"]]
    found = Counter(one["stream"] for one in good)
    if found != wanted:
        raise CallgrindFailed(f"log lines of good requests, by whether they streamed: {found} in place of {wanted}")
