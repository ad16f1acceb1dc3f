"""A file of lines that is only ever added to; a line that was not finished does not count."""

import os
from pathlib import Path


class JournalFile:
    """Lines of text in a file, from the first on. What follows the last line's end is cut off at the beginning.

    Attributes:
        count: How many lines there are.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends: list[int] = []
        if path.exists():
            self._cut()

    @property
    def count(self) -> int:
        """How many lines there are."""
        return len(self._ends)

    def append(self, line: str, *, to_disk: bool = False) -> None:
        """Add a line, which holds no line end; ``to_disk`` makes it outlive the machine, not only the process."""
        data = line.encode() + b"\n"
        with self._path.open("ab") as file:
            file.write(data)
            file.flush()
            if to_disk:
                os.fsync(file.fileno())
        self._ends.append((self._ends[-1] if self._ends else 0) + len(data))

    def lines(self, after: int = 0, limit: int | None = None) -> list[str]:
        """The lines after so many, ``limit`` at most."""
        ends = self._ends[after : None if limit is None else after + limit]
        if not ends:
            return []
        begin = self._ends[after - 1] if after else 0
        with self._path.open("rb") as file:
            file.seek(begin)
            data = file.read(ends[-1] - begin)
        # Not splitlines: JSON may hold characters that it takes for ends of lines.
        return data.decode().split("\n")[:-1]

    def _cut(self) -> None:
        data = self._path.read_bytes()
        position = data.find(b"\n")
        while position >= 0:
            self._ends.append(position + 1)
            position = data.find(b"\n", position + 1)
        whole = self._ends[-1] if self._ends else 0
        if whole < len(data):
            os.truncate(self._path, whole)
