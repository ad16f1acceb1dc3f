"""Which of the processes that a test caused still run: doubles leave files named by their process ids in a folder."""

import asyncio
from collections.abc import Callable
from pathlib import Path


class Pids:
    """The process ids that the doubles have left in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[int]:
        """Every process that was started."""
        return [int(file.name) for file in self.folder.iterdir()]

    def alive(self) -> list[int]:
        """Those that still run; a process that has ended and waits to be collected does not run."""
        return [pid for pid in self.all() if _runs(pid)]

    async def gone(self) -> None:
        """Wait until none of them runs; a killed process ends a moment later."""
        await until(lambda: not self.alive())


async def until(condition: Callable[[], bool], seconds_max: float = 20) -> None:
    """Wait for something that another process does; fails when it takes longer than ``seconds_max``."""
    async with asyncio.timeout(seconds_max):
        while not condition():  # noqa: ASYNC110 - other processes set no event of this one
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
