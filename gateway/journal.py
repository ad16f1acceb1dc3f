"""What could not be booked yet, on disk: whatever ends this process, the next one books it, once.

One file per process, named so that no two ever share one, and locked for as long as the process lives: an unlocked
file has no owner any more, and a process that starts takes it over. Each line is a checksum and an entry, and of
several with one id the last counts; a line that was cut off, since its writer died, is left out. Entries have names and
amounts, no prompt, answer or secret. The file is empty again as soon as all is booked, so it grows only while the store
is away; a request that is booked at once is never written.

What ``keep`` wrote is safe from the end of the process when it returns, and from the end of the machine once ``sync``
was called. Replaying an entry twice is harmless: the ledger books each id once, and an entry whose id it may have
forgotten is not booked but reported.
"""

import asyncio
import fcntl
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from gateway.budget.ledger import Claim, Concerned
from tiers.holds import Concern

Report = Callable[..., None]
_PREFIX = "settlements-"
_SHORTEST_LIFE_SECONDS = 0.001


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One settlement that is due: ``amounts`` per concern, ``None`` to release what is held.

    ``let_in`` is whether it was let in without the ledger, and ``microdollars`` what it takes from the allowance of its
    ``tier`` until it is booked. ``until_unix`` is when the ledger may have forgotten its id.
    """

    id: str
    until_unix: float = 0.0
    amounts: list[int] | None = None
    concerns: list[Concern] = []
    tier: str = ""
    let_in: bool = False
    microdollars: int = 0
    done: bool = False
    """Whether there is nothing left to do for it; all else is then left out."""

    def claim(self, seconds: float) -> Claim:
        """The claim that it settles, releases or books, with so many seconds left."""
        return Claim(
            id=self.id,
            slot=None,
            concerned=Concerned(tuple(self.concerns)),
            amounts=self.amounts or [0] * len(self.concerns),
            life_seconds=max(seconds, _SHORTEST_LIFE_SECONDS),
            allowed=self.microdollars if self.let_in else None,
        )


class Journal:
    """The journal of one process, and what it takes over from those that are gone."""

    def __init__(self, directory: Path, *, now_unix: Callable[[], float], report: Report) -> None:
        """Does nothing yet: the file, and ``directory`` if need be, are made when there is something to keep.

        ``report`` is told, by name and fields, what an operator should know.
        """
        self._directory = directory
        self._now = now_unix
        self._report = report
        self._entries: dict[str, Entry] = {}
        self._file: int | None = None
        self._path: Path | None = None
        self._failed = False

    def keep(
        self,
        claim: Claim,
        amounts: Sequence[int] | None,
        *,
        seconds: float,
        tier: str = "",
        microdollars: int = 0,
    ) -> None:
        """Write that ``claim`` is to be settled at ``amounts`` (released where ``None``) in the next ``seconds``.

        Never raises: where the disk does not take it, that is reported once, and the settlement is safe only for as
        long as the process lives.
        """
        entry = Entry(
            id=claim.id,
            until_unix=self._now() + seconds,
            amounts=None if amounts is None else list(amounts),
            concerns=list(claim.concerned.concerns),
            tier=tier,
            let_in=claim.allowed is not None,
            microdollars=microdollars,
        )
        self._entries[entry.id] = entry
        self._write([entry])

    def done(self, claim_id: str) -> None:
        """Note that nothing is left to do for it."""
        if self._entries.pop(claim_id, None) is None or self._file is None:
            return
        if self._entries:
            self._write([Entry(id=claim_id, done=True)])
        else:
            self._cut()

    def lost(self, claim_id: str) -> None:
        """Note, and report, that what was let in without the ledger cannot be booked any more."""
        entry = self._entries.get(claim_id)
        if entry is not None and entry.let_in and entry.amounts is not None:
            amounts = {concern.budget: amount for concern, amount in zip(entry.concerns, entry.amounts, strict=True)}
            self._report("settlement.lost", id=claim_id, tier=entry.tier, amounts=amounts)
        self.done(claim_id)

    def adopt(self) -> list[Entry]:
        """Take over what processes that are gone left; each of their files is taken by one process.

        What the ledger expired meanwhile is left out: it was charged in full.
        """
        found: list[Entry] = []
        for path in self._others():
            file = _locked(path)
            if file is None:
                continue
            try:
                entries, torn = _read(file)
                if torn:
                    self._report("journal.torn", file=path.name, lines=torn)
                fresh = [entry for entry in entries.values() if entry.id not in self._entries]
                self._entries.update((entry.id, entry) for entry in fresh)
                if fresh and not self._write(fresh):
                    continue  # it stays where it is, for a process that can
                path.unlink(missing_ok=True)
                found += fresh
            finally:
                os.close(file)
        if found:
            self._report("journal.adopted", settlements=len(found))
        now = self._now()
        for entry in found:
            if entry.until_unix <= now:
                self.lost(entry.id)
        return [entry for entry in found if entry.until_unix > now]

    async def sync(self) -> None:
        """Have the disk keep what was written."""
        if self._file is not None:
            await asyncio.to_thread(os.fdatasync, self._file)

    def close(self) -> None:
        """Leave the file to whoever starts next, or remove it where nothing is in it."""
        if self._file is None or self._path is None:
            return
        if not self._entries:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = None

    def _others(self) -> list[Path]:
        try:
            return sorted(path for path in self._directory.glob(f"{_PREFIX}*") if path != self._path)
        except OSError:
            return []

    def _write(self, entries: Sequence[Entry]) -> bool:
        """Whether the operating system took it all."""
        text = b"".join(_line(entry) for entry in entries)
        try:
            file = self._file if self._file is not None else self._open()
            # Behind a line that the disk took only half of, this one begins anew.
            if os.write(file, b"\n" + text if self._failed else text) < len(text):
                raise OSError("the disk took only a part of a line")  # noqa: TRY301 - as where it takes nothing
        except OSError as error:
            if not self._failed:
                self._report("journal.failed", directory=str(self._directory), error=str(error))
            self._failed = True
            return False
        self._failed = False
        return True

    def _open(self) -> int:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self._directory / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}.log"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._file

    def _cut(self) -> None:
        if self._file is not None:
            try:
                os.ftruncate(self._file, 0)
            except OSError as error:
                self._report("journal.failed", directory=str(self._directory), error=str(error))


def _locked(path: Path) -> int | None:
    """The file, locked; ``None`` where its process lives, or another one has just taken it over."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it may have emptied and removed it between opening and locking.
        if os.fstat(file).st_nlink:
            return file
    except OSError:
        pass
    os.close(file)
    return None


def _read(file: int) -> tuple[dict[str, Entry], int]:
    """The entries that are not done, by id, and how many lines could not be read."""
    entries: dict[str, Entry] = {}
    torn = 0
    for entry in _entries(os.pread(file, os.fstat(file).st_size, 0)):
        if entry is None:
            torn += 1
        elif entry.done:
            entries.pop(entry.id, None)
        else:
            entries[entry.id] = entry
    return entries, torn


def _entries(text: bytes) -> Iterator[Entry | None]:
    for line in text.split(b"\n"):
        checksum, _, body = line.partition(b" ")
        if not line:
            continue
        if checksum != b"%08x" % zlib.crc32(body):
            yield None
            continue
        try:
            yield msgspec.json.decode(body, type=Entry)
        except msgspec.MsgspecError:
            yield None


def _line(entry: Entry) -> bytes:
    body = msgspec.json.encode(entry)
    return b"%08x %b\n" % (zlib.crc32(body), body)
