"""Virtual keys and the audit log in the store: one change after the other, each noted as it is made."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.errors import StoreUnavailable
from gateway.keys.audit import Entry, breaks, digest_of
from gateway.keys.virtual import VirtualKey
from gateway.store.resp import words
from gateway.store.script import Commands, Script

ENTRIES_MAX: Final = 100_000
"""Entries of the audit log that are kept, about; the oldest go first."""
_NOTHING: Final = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the store keeps, at one moment.

    Attributes:
        head: The digest of the audit log's latest entry: while it is the same, so is all of this.
        number: How many entries there ever were.
        ours: Whether this gateway's pepper is the one that the keys were made under.
        keys: By their ids.
    """

    head: str
    number: int
    ours: bool
    keys: dict[str, VirtualKey]


class Cabinet:
    """Where virtual keys are kept. Every method raises ``StoreUnavailable``."""

    def __init__(self, commands: Commands, *, pepper: bytes, prefix: str = "tiergate") -> None:
        self._commands = commands
        self._pepper = pepper
        self._mark = hmac.digest(pepper, b"mark", "sha256").hex()
        key = f"{{{prefix}}}:keys".encode()
        self._read, self._commit, self._audit = (
            Script.of("gateway.keys", name, key=key, keeps="keys") for name in ("read", "commit", "audit")
        )

    async def read(self, known: str | None = None) -> Kept | None:
        """All keys; ``None`` where ``known`` is their head still."""
        found = await self._read.run(self._commands, 1, words(_NOTHING if known is None else known))
        if not isinstance(found, list):
            raise StoreUnavailable("The store that keeps keys gave an answer that is none.")
        head = found[0].decode()
        if len(found) == 1:
            return None
        keys = [msgspec.json.decode(each, type=VirtualKey) for each in found[3]]
        number = msgspec.json.decode(found[2], type=Entry).number if found[2] else 0
        return Kept(
            head=head,
            number=number,
            ours=found[1].decode() in {"", self._mark},
            keys={key.id: key for key in keys},
        )

    async def commit(self, entry: Entry, changed: Sequence[VirtualKey]) -> bool:
        """Keep ``changed`` and note ``entry``; ``False`` where something else was noted since what it follows on.

        Raises:
            StoreUnavailable: Also where the keys were made under another pepper.
        """
        encoded = msgspec.json.encode(entry)
        arguments: list[bytes | str | int] = [
            self._mark, entry.previous, digest_of(self._pepper, encoded), encoded, ENTRIES_MAX
        ]  # fmt: skip
        for key in changed:
            arguments += (key.id, msgspec.json.encode(key))
        done = int(await self._commit.run(self._commands, len(arguments), words(*arguments)))
        if done < 0:
            raise StoreUnavailable("The store's keys were made under another pepper: give every gateway the same one.")
        return done == 1

    async def entries(self, most: int) -> tuple[list[Entry], list[int]]:
        """The latest entries of the audit log, oldest first, and the numbers of those before which some are missing."""
        head, found = await self._audit.run(self._commands, 1, words(most))
        encoded = found[::-1]
        entries = [msgspec.json.decode(each, type=Entry) for each in encoded]
        return entries, breaks(self._pepper, encoded, head.decode())
