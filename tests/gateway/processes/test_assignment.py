"""What parent and child say to each other."""

from pathlib import Path

import msgspec
import pytest

from gateway.processes.assignment import Assignment, Word, encoded, read_assignment, read_word
from gateway.settings import Settings

ASSIGNMENT = Assignment(
    process=1,
    listener=7,
    folder="/tmp/somewhere",
    file="1-2",
    store_url="redis://:hunter2@store/0",
    store_description="redis://store:6379/0",
    store_remedy="Start it.",
    tiers_file="tiers.yaml",
    tiers="# Grüße\nversion: 1\n".encode(),
    state_directory=".tiergate",
    body_bytes_max=1000,
    drain_seconds=2.5,
)


def test_an_assignment_is_one_line_and_arrives_as_it_was() -> None:
    """The tier map's bytes, too, whatever they are."""
    line = encoded(ASSIGNMENT)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert read_assignment(line) == ASSIGNMENT


def test_a_child_gets_the_settings_that_concern_it() -> None:
    """Where to listen and how many there are is its parent's."""
    assert ASSIGNMENT.settings == Settings(
        tiers_file=Path("tiers.yaml"), state_directory=Path(".tiergate"), body_bytes_max=1000, drain_seconds=2.5
    )


@pytest.mark.parametrize("line", [b"", b"{", b"{}\n"], ids=str)
def test_what_is_no_assignment_is_refused(line: bytes) -> None:
    """Such as nothing: the parent has ended."""
    with pytest.raises(msgspec.DecodeError):
        read_assignment(line)


@pytest.mark.parametrize("word", [Word(), Word(error="no\nthank you")], ids=["serves", "cannot"])
def test_a_word_arrives_as_it_was(word: Word) -> None:
    """In one line."""
    assert encoded(word).count(b"\n") == 1
    assert read_word(encoded(word)) == word


def test_a_child_that_says_nothing_has_not_said_that_it_serves() -> None:
    """It has ended."""
    assert read_word(b"") is None
    assert read_word(b"Traceback\n") is None
