from pathlib import Path

from bench.cpu_quota import limited


def test_each_process_gets_a_group_with_its_share_and_goes_home_after(tmp_path: Path) -> None:
    """Version 1: period and quota are files of their own. A plain folder stands for the kernel's."""
    (tmp_path / "cpu").mkdir()
    group = tmp_path / "cpu/tiergate-bench-71"
    with Removing(group), limited([71], 0.2, root=tmp_path):
        assert (group / "cpu.cfs_quota_us").read_text() == "20000"
        assert (group / "cpu.cfs_period_us").read_text() == "100000"
        assert (group / "cgroup.procs").read_text() == "71"
    assert (tmp_path / "cpu/cgroup.procs").read_text() == "71"


def test_version_two_has_one_file_for_both(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    group = tmp_path / "tiergate-bench-71"
    with Removing(group), limited([71], 0.2, root=tmp_path):
        assert (group / "cpu.max").read_text() == "20000 100000"
    assert (tmp_path / "cgroup.procs").read_text() == "71"


class Removing:
    """Takes away the plain folder that only the kernel's file system removes with its files."""

    def __init__(self, group: Path) -> None:
        self._group = group

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        for file in self._group.iterdir():
            file.unlink()
        self._group.rmdir()
        return kind is OSError
