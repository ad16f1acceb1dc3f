"""Lines are read back as they were added, whatever the last process was doing when it died."""

from pathlib import Path

import pytest

from orchestrator.runs.journal_file import JournalFile


def test_lines_come_back_from_any_number_on(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "j")
    assert journal.lines() == []
    for line in ("one", "zwei é \u2028 \x85", "three"):
        journal.append(line, to_disk=True)
    for each in (journal, JournalFile(tmp_path / "j")):
        assert each.count == 3
        assert each.lines() == ["one", "zwei é \u2028 \x85", "three"]
        assert each.lines(1, 1) == ["zwei é \u2028 \x85"]
        assert each.lines(3) == []


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_line_that_was_not_finished_is_as_if_it_had_not_begun(tmp_path: Path, cut: int) -> None:
    journal = JournalFile(tmp_path / "j")
    journal.append("first")
    journal.append("secöond")
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole[:-cut])
    again = JournalFile(tmp_path / "j")
    assert again.lines() == ["first"]
    again.append("other")
    assert JournalFile(tmp_path / "j").lines() == ["first", "other"]
