"""Series of several processes that are one gateway, shared by files in a folder that their parent made for them.

Each process writes its snapshot into a file of its own. A list, which only the parent writes, says which files count:
one for each process that lives, and one with the sum of those that have ended. Every file is replaced as a whole, and
none is removed while the list names it, so whoever reads finds a consistent sum at any moment.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from gateway.telemetry.snapshot import Snapshot, merged

_LIST = "list"
_READ_AGAIN_MAX = 5


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """The files that count, by their names."""

    living: list[str] = msgspec.field(default_factory=list)
    ended: str | None = None


class Roster:
    """The parent's side: which processes there are, and what is left of those that have ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = Names()
        self._files = 0

    def begin(self, process: int) -> str:
        """A process is about to start; returns the name of the file that is to be its own. May raise ``OSError``."""
        name = self._fresh(str(process))
        self._write(msgspec.structs.replace(self._names, living=[*self._names.living, name]))
        return name

    def end(self, name: str) -> None:
        """The process with this file has ended: its totals stay, its gauges go. May raise ``OSError``."""
        files = [self._folder / each for each in (self._names.ended, name) if each is not None]
        ended = self._fresh("ended")
        _replace(self._folder / ended, merged(_read(file).ended() for file in files))
        living = [each for each in self._names.living if each != name]
        self._write(Names(living=living, ended=ended))
        for file in files:
            file.unlink(missing_ok=True)

    def _fresh(self, kind: str) -> str:
        self._files += 1
        return f"{kind}-{self._files}"

    def _write(self, names: Names) -> None:
        _replace(self._folder / _LIST, names)
        self._names = names


class SharedSeries:
    """The side of a process that serves: gives its own snapshot to the others, and reads theirs.

    Attributes:
        process: The number of this process.
    """

    def __init__(self, folder: Path, own: str, *, process: int) -> None:
        """``own``: the name that ``Roster.begin`` gave."""
        self.process = process
        self._folder = folder
        self._own = own
        self._written: Snapshot | None = None

    def write(self, snapshot: Snapshot) -> None:
        """Replace this process's file, if ``snapshot`` says anything new. A folder that is gone loses it."""
        if snapshot != self._written:
            with suppress(OSError):
                _replace(self._folder / self._own, snapshot)
                self._written = snapshot

    def others(self) -> list[Snapshot]:
        """What all other processes wrote last, those that have ended included; nothing where the folder is gone."""
        names = self._names()
        for _ in range(_READ_AGAIN_MAX):
            found = [_read(self._folder / name) for name in names.living if name != self._own]
            if names.ended is not None:
                found.append(_read(self._folder / names.ended))
            # A file that is not there was never written, or a process ended meanwhile: then the list has changed.
            before, names = names, self._names()
            if names == before:
                break
        return found

    def _names(self) -> Names:
        try:
            return msgspec.msgpack.decode((self._folder / _LIST).read_bytes(), type=Names)
        except OSError:
            return Names()


def _read(file: Path) -> Snapshot:
    """The snapshot in ``file``, which is empty where there is no such file."""
    try:
        return msgspec.msgpack.decode(file.read_bytes(), type=Snapshot)
    except OSError:
        return Snapshot()


def _replace(file: Path, content: Snapshot | Names) -> None:
    passing = file.with_name(f"{file.name}.new")
    passing.write_bytes(msgspec.msgpack.encode(content))
    passing.replace(file)
