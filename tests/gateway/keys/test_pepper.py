"""The gateway's own secret."""

from pathlib import Path

from gateway.keys.pepper import FILE, pepper_in


def test_it_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    made = pepper_in(directory)
    assert len(made) == 64
    assert pepper_in(directory) == made != pepper_in(tmp_path)
    assert (directory / FILE).stat().st_mode & 0o777 == 0o600
    assert [each.name for each in directory.iterdir()] == [FILE]
