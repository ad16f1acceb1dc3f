"""A share of a core for one process, kept by the kernel (control groups, version 1 or 2)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD_MICROSECONDS = 100_000
"""The kernel's own default; with shorter ones a process is interrupted between few requests and its caches are cold."""


@contextmanager
def limited(processes: Sequence[int], share: float, *, root: Path = ROOT) -> Iterator[None]:
    """Give each of ``processes`` at most ``share`` of a core's time, until the end.

    Raises:
        OSError: The kernel, or who runs this, may not.
    """
    unified = (root / "cgroup.controllers").is_file()
    parent = root if unified else root / "cpu"
    quota = round(share * PERIOD_MICROSECONDS)
    groups: list[Path] = []
    try:
        for process in processes:
            group = parent / f"tiergate-bench-{process}"
            group.mkdir()
            groups.append(group)
            if unified:
                (group / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")
            else:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
            (group / "cgroup.procs").write_text(str(process))
        yield
    finally:
        for group in groups:
            for member in (group / "cgroup.procs").read_text().split():
                (parent / "cgroup.procs").write_text(member)
            group.rmdir()
