"""Whether one of some files is another one than before, by looking at them now and then.

It is looked for by its path each time, so a symbolic link that is turned to another file counts, as Kubernetes turns
``..data`` when a ConfigMap changes; so does a file that is replaced, written to, removed or there again.
"""

from pathlib import Path

LOOK_SECONDS = 0.5
"""How often the tier map's file is looked at."""

_Seen = tuple[tuple[int, ...] | None, ...]
"""Of each file device, inode, time of change and size; ``None`` where it cannot be looked at."""


class FileWatch:
    """Looks at some files as one. What they are when the watch is made counts as known."""

    def __init__(self, *files: Path) -> None:
        self._files = files
        self._known = self._last = self._see()

    def look(self) -> bool:
        """Whether a file has changed and the change is complete. Each change is told once.

        It is taken for complete when two looks find the same: a file that is being written changes between them, and
        the first half of a tier map may be a valid one without its budgets.
        """
        seen, last = self._see(), self._last
        self._last = seen
        if seen == self._known or seen != last:
            return False
        self._known = seen
        return True

    def _see(self) -> _Seen:
        return tuple(_seen(file) for file in self._files)


def _seen(file: Path) -> tuple[int, ...] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
