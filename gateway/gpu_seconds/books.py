"""Billed worker seconds as they were seen, in the store: by hour, endpoint and tier."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.errors import StoreUnavailable
from gateway.store.resp import words
from gateway.store.script import Commands, Script
from tiers.bill import Books

KEPT_HOURS: Final = 40 * 24
"""Runpod shows 30 days unless it is asked for more."""
BELIEVED_SECONDS: Final = 30.0
"""So long what was told of workers holds while nobody tells: what a process that is gone saw is booked up to the first
word of the next one, if that comes in time."""
_ARGUMENTS: Final = 6
_HOUR: Final = 3600

Entry = tuple[str, str, str]
"""What (``attributed``, ``starting`` or ``awake``), the tier (empty unless attributed), and the endpoint's URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a process tells of one endpoint.

    Attributes:
        in_flight: Its own requests there; also those that are held while no worker works.
        workers: How many seconds of workers that start, and of such that are awake, pass on Runpod's clock in each real
            one; ``None`` where it does not look.
    """

    in_flight: int = 0
    workers: tuple[float, float] | None = None


class StoredBooks:
    """What all processes of one store know together."""

    def __init__(self, commands: Commands, *, prefix: str = "tiergate") -> None:
        self._commands = commands
        self._process = secrets.token_hex(6)
        self._script = Script.of(
            "gateway.gpu_seconds", "exchange", key=f"{{{prefix}}}:gpu".encode(), keeps="the books of GPU seconds"
        )

    async def exchange(
        self, reports: Mapping[str, Report], batch: int, entries: Mapping[Entry, int], *, holds_seconds: float
    ) -> dict[str, int]:
        """Tell of each endpoint, book milliseconds; returns how many requests are in flight there from others.

        What is in flight holds for so long; workers are booked until somebody tells of them again. A batch of entries
        that is told twice is booked once: the number is to grow with each new one.

        Raises:
            StoreUnavailable: Nothing was heard; it may have been booked.
        """
        arguments: list[bytes | str | int] = [self._process, batch, round(holds_seconds * 1000), KEPT_HOURS]
        arguments += (round(BELIEVED_SECONDS * 1000), len(reports))
        for base, report in reports.items():
            workers = "" if report.workers is None else f"{report.workers[0]:g} {report.workers[1]:g}"
            arguments += (base, report.in_flight, workers)
        for entry, milliseconds in entries.items():
            arguments += (" ".join(entry), milliseconds)
        count = _ARGUMENTS + 3 * len(reports) + 2 * len(entries)
        told = await self._script.run(self._commands, count, words(*arguments))
        return {base: int(elsewhere) for base, elsewhere in zip(reports, told, strict=True)}


async def read_books(
    client: Redis, since_unix: float, until_unix: float, *, prefix: str = "tiergate"
) -> dict[tuple[str, str], Books]:
    """What was seen from the hour of ``since_unix`` on and before ``until_unix``: (UTC day, endpoint's URL) → books.

    Raises:
        StoreUnavailable: They cannot be read.
    """
    key = f"{{{prefix}}}:gpu"
    days: dict[str, list[tuple[bytes, int]]] = {}
    try:
        hours = await client.zrangebyscore(f"{key}:hours", int(since_unix // _HOUR), f"({until_unix / _HOUR}")
        for hour in map(int, cast("list[bytes]", hours)):
            day = datetime.fromtimestamp(hour * _HOUR, UTC).date().isoformat()
            booked = cast("dict[bytes, bytes]", await client.hgetall(f"{key}:hour:{hour}"))
            days.setdefault(day, []).extend((entry, int(amount)) for entry, amount in booked.items())
    except (RedisError, OSError) as error:
        raise StoreUnavailable("The books of GPU seconds cannot be read.", retry_after_seconds=1.0) from error
    return {(day, base): books for day, entries in days.items() for base, books in books_of(_entries(entries)).items()}


def _entries(booked: Sequence[tuple[bytes, int]]) -> Iterable[tuple[Entry, int]]:
    for name, amount in booked:
        what, tier, base = name.decode().split(" ", 2)
        yield (what, tier, base), amount


def books_of(entries: Iterable[tuple[Entry, int]]) -> dict[str, Books]:
    """The entries of one day, summed: endpoint's URL → books."""
    attributed: dict[str, dict[str, int]] = {}
    overhead: dict[tuple[str, str], int] = {}
    for (what, tier, base), amount in entries:
        of_tiers = attributed.setdefault(base, {})
        if what == "attributed":
            of_tiers[tier] = of_tiers.get(tier, 0) + amount
        else:
            overhead[what, base] = overhead.get((what, base), 0) + amount
    return {
        base: Books(
            attributed=of_tiers, starting=overhead.get(("starting", base), 0), awake=overhead.get(("awake", base), 0)
        )
        for base, of_tiers in attributed.items()
    }
