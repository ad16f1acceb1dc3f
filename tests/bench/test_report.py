from pathlib import Path

import pytest

from bench.report import BEGIN, END, load, newest, page_section, section_of, with_section, write_report
from tests.docs.markdown import ROOT


@pytest.mark.parametrize("page", ["README.md", "bench/README.md"])
def test_a_page_shows_what_the_newest_results_say(page: str) -> None:
    assert section_of((ROOT / page).read_text(encoding="utf-8")) == page_section(ROOT / page)


def test_the_newest_results_have_the_report_that_belongs_to_them(tmp_path: Path) -> None:
    copy = tmp_path / newest().name
    copy.mkdir()
    for file in newest().glob("*.json"):
        (copy / file.name).write_bytes(file.read_bytes())
    write_report(copy)
    assert (newest() / "report.md").read_text(encoding="utf-8") == (copy / "report.md").read_text(encoding="utf-8")


def test_the_section_goes_between_its_markers_and_nowhere_else() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_section(page, f"{BEGIN}\nnew \\1\n{END}") == f"before\n{BEGIN}\nnew \\1\n{END}\nafter\n"


@pytest.mark.parametrize("act", [section_of, lambda page: with_section(page, "")])
def test_a_page_without_markers_is_refused(act: object) -> None:
    assert callable(act)
    with pytest.raises(ValueError, match="figures: begin"):
        act("no markers")


def test_results_go_by_their_parts_names(tmp_path: Path) -> None:
    (tmp_path / "race.json").write_text('{"rows": []}')
    assert load(tmp_path) == {"race": {"rows": []}}


def test_parts_of_different_builds_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text('{"cores": 2, "python": "3.11.7"}')
    (tmp_path / "isolation.json").write_text('{"commit": "a1", "compiled": false, "bad": 0, "errors": 0}')
    (tmp_path / "extra.json").write_text('{"commit": "b2", "compiled": true}')
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "isolation: commit a1, not compiled" in text
    assert "extra: commit b2, compiled" in text
