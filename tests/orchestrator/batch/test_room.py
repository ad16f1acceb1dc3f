"""How many jobs a worker can hold."""

from pathlib import Path

import pytest

from orchestrator.batch.room import room


@pytest.mark.parametrize(("limit", "used", "places"), [("1000", 100, 20), ("1000", 950, 1), ("max", 950, 20)])
def test_one_at_a_time_where_memory_is_short(tmp_path: Path, limit: str, used: int, places: int) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n", encoding="ascii")
    (tmp_path / "memory.current").write_text(f"{used}\n", encoding="ascii")
    assert room(20, tmp_path)(1) == places


def test_all_where_nothing_is_known(tmp_path: Path) -> None:
    assert room(20, tmp_path)(20) == 20
