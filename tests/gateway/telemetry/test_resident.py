"""How much memory this process has."""

from pathlib import Path

import pytest

from gateway.telemetry.resident import resident_bytes


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the kernel's own files are Linux's")
def test_it_is_what_the_kernel_says() -> None:
    """More than an interpreter needs, less than a machine has."""
    found = resident_bytes()
    assert found is not None
    assert 5 * 2**20 < found < 2**36


def test_the_second_field_counts_pages(tmp_path: Path) -> None:
    """The first one is of memory that is only promised."""
    (tmp_path / "statm").write_bytes(b"9000 3 1 1 0 1 0\n")
    found = resident_bytes(tmp_path / "statm")
    assert found is not None
    assert found % 3 == 0
    assert found > 0


@pytest.mark.parametrize("content", [None, b"", b"1", b"1 many"], ids=str)
def test_a_system_that_does_not_say_is_not_guessed_at(tmp_path: Path, content: bytes | None) -> None:
    """There is no such file everywhere."""
    file = tmp_path / "statm"
    if content is not None:
        file.write_bytes(content)
    assert resident_bytes(file) is None
