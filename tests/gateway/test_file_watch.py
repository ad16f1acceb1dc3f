"""Whether a file has changed."""

import os
from pathlib import Path

import pytest

from gateway.file_watch import FileWatch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiers.yaml"
    path.write_text("one")
    return path


def looks(watch: FileWatch, times: int = 3) -> list[bool]:
    """What so many looks find."""
    return [watch.look() for _ in range(times)]


def test_several_files_are_watched_as_one(tmp_path: Path) -> None:
    """Also one that is not there yet."""
    file, other = tmp_path / "tiers.yaml", tmp_path / "tiers.fleet.json"
    file.write_text("a")
    watch = FileWatch(file, other)
    assert looks(watch) == [False, False, False]
    other.write_text("b")
    assert looks(watch) == [False, True, False]


def test_a_file_that_stays_as_it_is_is_never_told(file: Path) -> None:
    """Nor is what it was at first."""
    assert looks(FileWatch(file)) == [False, False, False]


def test_a_change_is_told_once_and_when_it_is_complete(file: Path) -> None:
    """A file that still changes is waited for: its first half may be a valid tier map."""
    watch = FileWatch(file)
    file.write_text("the first half")
    assert not watch.look()
    file.write_text("the first half and the second")
    assert looks(watch) == [False, True, False]


def test_a_file_that_takes_its_place_is_a_change(file: Path) -> None:
    """Also one of the same size and the same time of change."""
    watch = FileWatch(file)
    other = file.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    other.replace(file)
    assert looks(watch) == [False, True, False]


def test_a_link_that_is_turned_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes turns ``..data`` when a ConfigMap changes: the file's own link stays as it is."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiers.yaml").write_text(name)
    (tmp_path / "..data").symlink_to("first")
    (tmp_path / "tiers.yaml").symlink_to("..data/tiers.yaml")
    watch = FileWatch(tmp_path / "tiers.yaml")
    (tmp_path / "..new").symlink_to("second")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert looks(watch) == [False, True, False]


def test_a_file_that_goes_and_comes_is_told(file: Path) -> None:
    """Both; but not one that was away between two looks and is the same again."""
    watch = FileWatch(file)
    aside = file.with_name("aside")
    file.replace(aside)
    assert not watch.look()
    aside.replace(file)
    assert looks(watch) == [False, False, False]
    file.unlink()
    assert looks(watch) == [False, True, False]
    file.write_text("two")
    assert looks(watch) == [False, True, False]
