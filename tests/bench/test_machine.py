"""Which commit the bench says it measured."""

import subprocess
from pathlib import Path

import pytest

from bench.machine import commit


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    for file in ("README.md", "gateway/code.py", "bench/results/2026-01-01/race.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("before")
    for words in (["init"], ["add", "."], ["commit", "-m", "first"]):
        author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_results_of_earlier_parts_do_not_count_as_a_change(checkout: Path) -> None:
    name = commit(checkout)
    (checkout / "bench/results/2026-01-01/race.json").rename(checkout / "bench/results/race.json")
    (checkout / "README.md").write_text("other figures")
    assert commit(checkout) == name
    assert len(name) >= 7
    assert "dirty" not in name


@pytest.mark.parametrize("file", ["gateway/code.py", "gateway/new.py", "bench/part.py"])
def test_a_change_of_what_is_measured_or_of_how_is_told(checkout: Path, file: str) -> None:
    name = commit(checkout)
    (checkout / file).write_text("after")
    assert commit(checkout) == f"{name}-dirty"


def test_without_git_no_commit_is_named(tmp_path: Path) -> None:
    assert commit(tmp_path) == ""
