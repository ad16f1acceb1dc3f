"""Large pages are asked for where the heap fills them, and never where that would take memory or fail."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.large_pages import LARGE_PAGE_BYTES, heap_ranges, settle_in

MIB = 1024 * 1024

SMAPS = """\
00400000-00c00000 rw-p 00000000 00:00 0                                  [heap]
Size:               8192 kB
Rss:                8000 kB
7f0000100000-7f0000700000 rw-p 00000000 00:00 0
Size:               6144 kB
Rss:                6144 kB
7f0001000000-7f0001800000 rw-p 00000000 00:00 0
Size:               8192 kB
Rss:                  16 kB
7f0002000000-7f0002400000 r-xp 00000000 fe:00 12                         /usr/lib/libc.so.6
Size:               4096 kB
Rss:                4096 kB
7f0003000000-7f0003400000 rw-p 00000000 fe:00 13                         /tmp/counts
Size:               4096 kB
Rss:                4096 kB
7f0004100000-7f0004200000 rw-p 00000000 00:00 0
Size:               1024 kB
Rss:                1024 kB
7ffc00000000-7ffc00400000 rw-p 00000000 00:00 0                          [stack]
Size:               4096 kB
Rss:                4096 kB
"""
"""A heap, an arena that begins amid a large page, an idle thread's stack, code, a file, a small piece, the stack."""

FILLED = """
from gateway.large_pages import settle_in
kept = [bytes(400) for _ in range(400_000)]
print(settle_in())
print(open("/proc/self/smaps_rollup").read())
"""


def test_whole_large_pages_of_the_heap_that_are_in_use() -> None:
    assert list(heap_ranges(SMAPS)) == [(0x400000, 8 * MIB), (0x7F0000200000, 4 * MIB)]


def test_what_the_kernel_refuses_is_not_counted(tmp_path: Path) -> None:
    file = tmp_path / "smaps"
    file.write_text(SMAPS, encoding="ascii")
    asked: list[int] = []

    def collapse(start: int, length: int) -> bool:
        asked.append(length)
        return start == 0x400000

    assert settle_in(file, collapse) == 8 * MIB
    assert asked == [8 * MIB, 4 * MIB]


def test_a_system_without_proc_is_left_as_it_is(tmp_path: Path) -> None:
    assert settle_in(tmp_path / "smaps") == 0


def test_a_process_heap_ends_up_in_large_pages() -> None:
    """With a real kernel: what it says of the process afterwards."""
    said = subprocess.run([sys.executable, "-c", FILLED], capture_output=True, text=True, check=True).stdout
    settled, report = said.split("\n", 1)
    if settled == "0":
        pytest.skip("this kernel does not put memory into large pages when asked to (Linux 6.1 and later do)")
    found = re.search(r"AnonHugePages:\s+(\d+) kB", report)
    assert found is not None
    assert int(found[1]) * 1024 >= int(settled) >= 10 * LARGE_PAGE_BYTES
