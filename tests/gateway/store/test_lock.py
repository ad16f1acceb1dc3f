import json
import os
import tempfile
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.store.lock import locked_directory


def run_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tiergate-"))
    (folder / "valkey.sock").touch()
    return folder


def present(path: Path) -> bool:
    return path.exists()


async def test_a_directory_is_made_and_owned_and_its_run_folder_goes_in_the_end(tmp_path: Path) -> None:
    """The run folder is ours alone, and short enough for a socket's path."""
    async with locked_directory(tmp_path / "some" / "data", wait_seconds=1) as directory:
        assert directory.data.is_dir()
        assert directory.run.stat().st_mode & 0o777 == 0o700
        assert len(str(directory.run)) < 80
        run = directory.run
    assert not run.exists()
    assert directory.data.exists()


async def test_a_second_gateway_is_told_who_owns_the_directory_and_what_to_do(tmp_path: Path) -> None:
    """And it can have it as soon as the first one is done."""
    async with locked_directory(tmp_path, wait_seconds=1):
        with pytest.raises(StoreUnavailable, match=f"process {os.getpid()}.*another data directory.*redis://"):
            async with locked_directory(tmp_path, wait_seconds=0.1):
                raise AssertionError("two owners")
    async with locked_directory(tmp_path, wait_seconds=0.1):
        pass


async def test_the_run_folder_of_a_killed_gateway_is_removed(tmp_path: Path) -> None:
    """It could not do so itself."""
    left = run_folder()
    (tmp_path / "gateway.lock").write_text(json.dumps({"gateway": 1, "run": str(left)}))
    async with locked_directory(tmp_path, wait_seconds=1):
        assert not present(left)


@pytest.mark.parametrize("note", ["", "[]", "{", '{"run": "KEEP"}'])
async def test_nothing_else_is_removed_whatever_the_lock_file_says(tmp_path: Path, note: str) -> None:
    """It is only a file, and anyone may have written it."""
    keep = tmp_path / "tiergate-keep"
    keep.mkdir()
    (tmp_path / "gateway.lock").write_text(note.replace("KEEP", str(keep)))
    async with locked_directory(tmp_path, wait_seconds=1):
        assert keep.exists()


async def test_a_note_without_an_owner_names_nobody(tmp_path: Path) -> None:
    """As when the owner is only just starting."""
    async with locked_directory(tmp_path, wait_seconds=1):
        (tmp_path / "gateway.lock").write_text("")
        with pytest.raises(StoreUnavailable, match="process unknown"):
            async with locked_directory(tmp_path, wait_seconds=0):
                raise AssertionError("two owners")


async def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    """With its path and the reason."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"data directory .*file/data cannot be used"):
        async with locked_directory(tmp_path / "file" / "data", wait_seconds=1):
            raise AssertionError("a folder in a file")
