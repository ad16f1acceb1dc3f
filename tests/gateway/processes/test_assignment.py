"""What parent and child say to each other."""

from pathlib import Path

import msgspec
import pytest

from gateway.processes.assignment import (
    Assignment,
    Forget,
    Leave,
    Note,
    Order,
    Prepare,
    Swap,
    Told,
    Word,
    encoded,
    read_assignment,
    read_order,
    read_word,
)
from gateway.served import Outcome, Rejection, ServedMap
from gateway.settings import Settings
from tiers.tiermap import SecretReference

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
    served=ServedMap(generation=3, hash="0123456789ab", loaded_unix=1_800_000_000.5),
    rejected=None,
    state_directory=".tiergate",
    body_bytes_max=1000,
    drain_seconds=2.5,
    drain_delay_seconds=0.5,
    runpod_speed=20.0,
    slot_lease_seconds=5,
    records_max=2000,
    records_days=7,
    admin_listen=("127.0.0.1", 8081),
    runpod_key="env:RUNPOD",
    runpod_url="https://runpod.test",
    admin_digest="",
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
        tiers_file=Path("tiers.yaml"),
        state_directory=Path(".tiergate"),
        body_bytes_max=1000,
        drain_seconds=2.5,
        drain_delay_seconds=0.5,
        runpod_speed=20.0,
        slot_lease_seconds=5,
        records_max=2000,
        records_days=7,
        admin_listen=("127.0.0.1", 8081),
        runpod_key=SecretReference("env", "RUNPOD"),
        runpod_url="https://runpod.test",
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


@pytest.mark.parametrize(
    "order",
    [
        Prepare(tiers=b"\n\xff", served=ASSIGNMENT.served),
        Swap(),
        Forget(),
        Note(rejected=Rejection(hash="ab", since_unix=1.5, problems=("a\nb", "c"))),
        Note(rejected=None),
        Told(outcome=Outcome(result="rejected", generation=1, hash="ab", problems=("no",))),
        Leave(),
    ],
    ids=repr,
)
def test_an_order_arrives_as_it_was(order: Order) -> None:
    """In one line."""
    assert encoded(order).count(b"\n") == 1
    assert read_order(encoded(order)) == order


def test_what_a_later_version_says_is_passed_over() -> None:
    """An order that is not known here; what is new in one that is, and in an assignment."""
    assert read_order(b'{"type": "dance"}\n') is None
    assert read_order(b"more is nothing to it\n") is None
    assert read_order(b'{"type": "leave", "slowly": true}\n') == Leave()
    assert read_assignment(encoded(ASSIGNMENT).replace(b"{", b'{"new": 1, ', 1)) == ASSIGNMENT
