"""What processes of one store tell each other of Runpod endpoints, in one command: see ``scripts/health.lua``."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from gateway.exchange import Clock
from gateway.store.resp import words
from gateway.store.script import Commands, Script
from tiers.warmth import Sample

UNUSED: Final = 0
USED: Final = 1
AWAITED: Final = 2
LEASE_SECONDS_MIN: Final = 3.0
"""How long a process leads at least after it was heard of last: it may stop for a moment without losing it."""
_NEVER: Final = float("-inf")
_ARGUMENTS, _OF_EACH = 3, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Of one endpoint; times are this process's monotonic clock's.

    Attributes:
        base: Its URL.
        level: Whether somebody waits for it (``AWAITED``), it is in use (``USED``), or neither (``UNUSED``).
        waiting: Calls that are held for it: in this process where it tells, in the others where it hears.
        worked_at: When a worker of it worked last, as far as is known.
        sample: What its health said last; ``None`` before.
        sampled_at: When that was taken.
    """

    base: str
    level: int
    waiting: int
    worked_at: float
    sample: Sample | None
    sampled_at: float


class SharedHealth(Protocol):
    """Where processes meet."""

    async def exchange(self, news: Sequence[News], *, holds_seconds: float) -> tuple[bool, list[News]]:
        """Tell ``news``, whose level and waiting calls hold so long; returns whether this process is the one that
        looks, and what is known of the same endpoints.

        Raises:
            StoreUnavailable: Nothing was heard.
        """


class StoredHealth:
    """Fulfils ``SharedHealth`` for all processes of one store."""

    def __init__(
        self, commands: Commands, *, clock: Clock, prefix: str = "tiergate", lease_seconds: float = LEASE_SECONDS_MIN
    ) -> None:
        self._commands = commands
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._process = secrets.token_hex(6)
        self._script = Script.of(
            "gateway.upstream", "health", key=f"{{{prefix}}}:health".encode(), keeps="the health of endpoints"
        )

    async def exchange(self, news: Sequence[News], *, holds_seconds: float) -> tuple[bool, list[News]]:
        """See ``SharedHealth``."""
        now = self._clock.monotonic()
        lease = _milliseconds(max(self._lease_seconds, holds_seconds))
        arguments: list[bytes | str | int] = [self._process, lease, _milliseconds(holds_seconds)]
        for each in news:
            sample = b"" if each.sample is None else msgspec.json.encode(each.sample)
            worked = -1 if each.worked_at == _NEVER else _milliseconds(now - each.worked_at)
            age = 0 if each.sample is None else _milliseconds(now - each.sampled_at)
            arguments += (each.base, each.level, each.waiting, worked, sample, age)
        count = _ARGUMENTS + _OF_EACH * len(news)
        leads, *told = await self._script.run(self._commands, count, words(*arguments))
        now = self._clock.monotonic()
        return bool(leads), [_news(each.base, reply, now) for each, reply in zip(news, told, strict=True)]


def _news(base: str, reply: Sequence[int | bytes], now: float) -> News:
    level, waiting, worked, encoded, age = reply
    sample = _sample(encoded)
    return News(
        base=base,
        level=int(level),
        waiting=int(waiting),
        worked_at=_NEVER if worked == -1 else now - int(worked) / 1000,
        sample=sample,
        sampled_at=_NEVER if sample is None else now - int(age) / 1000,
    )


def _sample(encoded: int | bytes) -> Sample | None:
    """What a process wrote, perhaps one of another version; ``None`` where it cannot be read."""
    try:
        return msgspec.json.decode(encoded, type=Sample) if isinstance(encoded, bytes) and encoded else None
    except msgspec.DecodeError:
        return None


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
