"""What is read of callgrind, and what is said where it is not there."""

from pathlib import Path

import pytest

from tests.guard.callgrind import Callgrind, CallgrindFailed, instructions_of, require

PROFILE = """\
# callgrind format
version: 1
creator: callgrind-3.19.0
part: 2
desc: Trigger: dump
positions: line
events: Ir
summary: 127290268

ob=(1) /usr/lib/x86_64-linux-gnu/libc.so.6
fn=(2) memcpy
12 345
totals: 127290268
"""


def test_a_profile_says_how_many_instructions_it_counted() -> None:
    assert instructions_of(PROFILE) == 127_290_268


def test_a_profile_without_that_is_refused() -> None:
    with pytest.raises(CallgrindFailed, match="summary"):
        instructions_of("version: 1\n")


def test_a_machine_without_valgrind_is_told_what_to_install() -> None:
    with pytest.raises(CallgrindFailed, match=r"not found: valgrind, callgrind_control; .*apt-get install valgrind"):
        require(lambda _: None)


def test_only_what_is_missing_is_named() -> None:
    with pytest.raises(CallgrindFailed, match="not found: callgrind_control;"):
        require({"valgrind": "/usr/bin/valgrind"}.get)


def test_nothing_is_said_where_all_is_there() -> None:
    require(lambda tool: f"/usr/bin/{tool}")


def test_the_process_starts_uncounted_and_its_children_stay_so(tmp_path: Path) -> None:
    command = Callgrind(tmp_path).command(["python", "-m", "gateway"])
    assert {"--instr-atstart=no", "--trace-children=no"} <= set(command)
    assert command[-3:] == ["python", "-m", "gateway"]
