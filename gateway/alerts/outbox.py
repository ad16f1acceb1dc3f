"""Alerts that are noted and not posted yet, in the store: see ``scripts``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.store.resp import words
from gateway.store.script import Commands, Script

PENDING_MAX: Final = 1_000
"""Alerts that may wait to be posted; what comes on top is noted once there is room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A part that a budget of an owner is spent to.

    Attributes:
        key: The same for all processes, and for this part of this budget of this owner alone.
        life_seconds: How long it stays noted; ``None``: as long as each note of all parts has it.
        id: What the alert is called, if it is news.
        body: What is posted then.
    """

    key: str
    life_seconds: float | None
    id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An alert to post now; ``tries`` counts this one."""

    id: str
    body: bytes
    tries: int


class Outbox:
    """What all processes of one store know of alerts. Every method raises ``StoreUnavailable``."""

    def __init__(self, commands: Commands, *, process: str, prefix: str = "tiergate") -> None:
        self._commands = commands
        self._process = process
        key = f"{{{prefix}}}:alerts".encode()
        self._lead, self._note, self._take, self._finish = (
            Script.of("gateway.alerts", name, key=key, keeps="alerts") for name in ("lead", "note", "take", "finish")
        )

    async def lead(self, lease_seconds: float) -> bool:
        """Whether this process is the one that looks at balances, for so long."""
        return bool(await self._lead.run(self._commands, 2, words(self._process, _milliseconds(lease_seconds))))

    async def note(self, marks: Sequence[Mark]) -> int:
        """Note all parts that budgets are spent to now; returns how many of them were news, and wait to be posted."""
        arguments: list[bytes | str | int] = [PENDING_MAX]
        for mark in marks:
            life = 0 if mark.life_seconds is None else _milliseconds(mark.life_seconds)
            arguments += (mark.key, life, mark.id, mark.body)
        return int(await self._note.run(self._commands, len(arguments), words(*arguments)))

    async def take(self, *, lease_seconds: float, most: int) -> list[Due]:
        """Alerts to post now, the oldest first; nobody else gets them until the lease is over."""
        found = await self._take.run(self._commands, 2, words(_milliseconds(lease_seconds), most))
        return [Due(id=name.decode(), body=body, tries=int(tries)) for name, body, tries in found]

    async def done(self, due: Due) -> None:
        """It was posted, or is given up."""
        await self._finish.run(self._commands, 2, words(due.id, -1))

    async def later(self, due: Due, seconds: float) -> None:
        """It is to be tried again."""
        await self._finish.run(self._commands, 2, words(due.id, _milliseconds(seconds)))


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
