"""One JSON line for every request and event."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.record import RequestRecord
from gateway.telemetry.log import GATHER_SECONDS, LINES_MAX, Log, pieces
from tests.doubles.clock import ManualClock
from tests.gateway.samples import record
from tests.stores import eventually


class CountingStream(io.BytesIO):
    """Counts how often it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever the stream takes
        """Counts."""
        self.writes += 1
        return super().write(data)


class PipeLike(io.BytesIO):
    """Keeps each write by itself, as other writers of a pipe see it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever the stream takes
        """Keeps it."""
        self.pieces.append(bytes(data))
        return super().write(data)


class BrokenStream(io.BytesIO):
    """A stream whose reader is gone."""

    def write(self, *_: object) -> int:
        """Fails, as a closed pipe does."""
        raise BrokenPipeError


def tell(log: Log, ended: RequestRecord) -> None:
    """As the observer does."""
    log.request(ended, msgspec.json.encode(ended))


def lines(write: Callable[[Log], None]) -> list[dict[str, Any]]:
    stream = io.BytesIO()
    write(Log(stream, ManualClock()))
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_is_one_line_with_every_field_of_its_record() -> None:
    """Named as in the record, in the order in which it has them, with its own time."""
    [line] = lines(lambda log: tell(log, record()))
    assert list(line) == ["event", "time", *RequestRecord.__struct_fields__]
    assert (line["event"], line["time"]) == ("request.ended", "2027-01-15T08:00:00.250Z")
    assert line["charges"] == [
        {"tier": "routing", "endpoint": "routing/0", "gpu_seconds": 0.75, "cost_microdollars": 120}
    ]
    assert (line["tier"], line["outcome"], line["task"], line["output_tokens"]) == ("routing", "ok", "", 5)


def test_what_never_happened_is_null() -> None:
    """Not zero."""
    [line] = lines(lambda log: tell(log, record(time_to_first_token_seconds=None)))
    assert line["time_to_first_token_seconds"] is None


@pytest.mark.parametrize(
    ("unix", "text"),
    [
        (1_800_000_000.0, "2027-01-15T08:00:00.000Z"),
        (1_800_000_000.123, "2027-01-15T08:00:00.123Z"),
        (1_800_000_000.0009, "2027-01-15T08:00:00.000Z"),
        (1_800_000_000.999999, "2027-01-15T08:00:00.999Z"),
        (1_800_000_000.9999999, "2027-01-15T08:00:01.000Z"),
        (0.0, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_has_milliseconds(unix: float, text: str) -> None:
    """What is finer is left out."""
    [line] = lines(lambda log: tell(log, record(received_unix=unix)))
    assert line["time"] == text


def test_every_line_has_its_own_time() -> None:
    """Also in another second than the line before, later or earlier."""
    moments = [1_800_000_000.25, 1_800_000_000.5, 1_800_003_661.0, 1_800_000_000.75]

    def write(log: Log) -> None:
        for moment in moments:
            tell(log, record(received_unix=moment))

    told = lines(write)
    assert [line["time"][11:-1] for line in told] == ["08:00:00.250", "08:00:00.500", "09:01:01.000", "08:00:00.750"]


def test_an_event_is_one_line_with_the_time_of_the_clock() -> None:
    """A dotted name and keys; ``name`` may be one of them."""
    [line] = lines(lambda log: log.event("gateway.listening", host="::1", port=8080, name="x"))
    assert line == {
        "event": "gateway.listening",
        "time": "2027-01-15T08:00:00.000Z",
        "host": "::1",
        "port": 8080,
        "name": "x",
    }


def test_an_event_that_cannot_be_written_down_is_lost_and_nothing_else() -> None:
    """Half a character is no text."""
    stream = io.BytesIO()
    log = Log(stream, ManualClock())
    log.event("odd", text="\ud800")
    log.event("even")
    [line] = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "even"


def test_a_line_break_in_a_text_makes_no_new_line() -> None:
    """Nobody can write lines into the log by what they call themselves."""
    [line] = lines(lambda log: tell(log, record(model='x\n{"event":"forged"}')))
    assert line["model"] == 'x\n{"event":"forged"}'


async def test_lines_of_requests_gather_and_are_written_at_once() -> None:
    """In one write, soon, in their order; and so again."""
    stream = CountingStream()
    log = Log(stream, ManualClock())
    for status in range(5):
        tell(log, record(status=status))
    assert stream.writes == 0
    await eventually(lambda: stream.writes == 1)
    tell(log, record(status=5))
    assert stream.writes == 1
    await eventually(lambda: stream.writes == 2)
    assert [json.loads(line)["status"] for line in stream.getvalue().splitlines()] == [*range(6)]
    assert GATHER_SECONDS <= 0.05


async def test_an_event_is_written_at_once_behind_the_requests_before_it() -> None:
    """It may be the last that this process says."""
    stream = CountingStream()
    log = Log(stream, ManualClock())
    tell(log, record())
    log.event("gateway.stopped")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "request.ended",
        "gateway.stopped",
    ]
    assert stream.writes == 1


async def test_no_more_than_so_many_lines_gather() -> None:
    """However busy the loop is."""
    stream = CountingStream()
    log = Log(stream, ManualClock())
    for _ in range(LINES_MAX - 1):
        tell(log, record())
    assert stream.writes == 0
    tell(log, record())
    assert stream.writes == 1
    assert len(stream.getvalue().splitlines()) == LINES_MAX


async def test_what_was_flushed_is_not_written_again() -> None:
    """Its timer is gone, and a flush of nothing writes nothing."""
    stream = CountingStream()
    log = Log(stream, ManualClock())
    tell(log, record())
    timer = log._timer
    log.flush()
    log.flush()
    assert stream.writes == 1
    assert timer is not None
    assert timer.cancelled()


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_cannot_be_written_to_loses_lines_and_nothing_else(closed: bool) -> None:
    """A request never fails because of its log."""
    stream = io.BytesIO() if closed else BrokenStream()
    if closed:
        stream.close()
    log = Log(stream, ManualClock())
    tell(log, record())
    log.event("gateway.stopped")


async def test_lines_for_a_broken_stream_do_not_pile_up() -> None:
    """Lost is lost: those that come later are not held up by them."""
    log = Log(BrokenStream(), ManualClock())
    for _ in range(LINES_MAX):
        tell(log, record())
    assert log._lines == []


def test_pieces_end_with_lines_and_hold_as_many_as_they_may() -> None:
    """In their order; nothing is lost, and a line that is too long is alone."""
    lines_of = [b"a" * 9 + b"\n", b"b" * 9 + b"\n", b"c" * 4 + b"\n", b"d" * 99 + b"\n", b"e\n", b"f" * 24 + b"\n"]
    found = [b"".join(piece) for piece in pieces(lines_of, 25)]
    assert found == [b"".join(lines_of[:3]), lines_of[3], lines_of[4], lines_of[5]]
    assert list(pieces([], 25)) == []


async def test_where_others_write_too_no_write_is_longer_than_a_pipe_takes_as_a_whole() -> None:
    """Each ends with a line, so none gets into the middle of another process's."""
    stream = PipeLike()
    log = Log(stream, ManualClock(), piece_bytes_max=4096)
    for status in range(100):
        tell(log, record(status=status))
    log.flush()
    assert len(stream.pieces) > 5
    assert max(map(len, stream.pieces)) <= 4096
    assert all(piece.endswith(b"\n") for piece in stream.pieces)
    assert [json.loads(line)["status"] for line in stream.getvalue().splitlines()] == [*range(100)]


WRITER = """
import asyncio, sys
import msgspec
from gateway.telemetry.log import Log
from tests.doubles.clock import ManualClock
from tests.gateway.samples import record

async def main():
    log = Log(sys.stderr.buffer, ManualClock(), piece_bytes_max=4096)
    ended = record(run=sys.argv[1])
    for _ in range(40):
        for _ in range(100):
            log.request(ended, msgspec.json.encode(ended))
        log.flush()

asyncio.run(main())
"""


@pytest.mark.integration
def test_lines_of_two_processes_do_not_mix_in_one_pipe() -> None:
    """However fast both write, and however slowly somebody reads."""
    root = Path(__file__).parents[3]
    reading, writing = os.pipe()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, name], stderr=writing, cwd=root) for name in ("one", "two")
    ]
    os.close(writing)
    # In pieces that are smaller than a batch of lines, so that a writer has to wait in the middle of a long write.
    read = b"".join(iter(lambda: os.read(reading, 4096), b""))
    os.close(reading)
    assert [writer.wait(20) for writer in writers] == [0, 0]
    runs = [json.loads(line)["run"] for line in read.splitlines()]
    assert (runs.count("one"), runs.count("two")) == (4000, 4000)
