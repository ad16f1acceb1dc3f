"""One JSON line for every request and event."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.telemetry.log import Log
from tests.doubles.clock import ManualClock
from tests.gateway.samples import record


class BrokenStream(io.BytesIO):
    """A stream whose reader is gone."""

    def write(self, *_: object) -> int:
        """Fails, as a closed pipe does."""
        raise BrokenPipeError


def lines(write: Callable[[Log], None]) -> list[dict[str, Any]]:
    stream = io.BytesIO()
    write(Log(stream, ManualClock()))
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_is_one_line_with_every_field_of_its_record() -> None:
    """Named as in the record, in the order in which it has them, with its own time."""
    [line] = lines(lambda log: log.request(record(duration_seconds=1.23456789)))
    assert list(line)[:2] == ["event", "time"]
    assert (line["event"], line["time"]) == ("request.ended", "2027-01-15T08:00:00.250Z")
    assert line["duration_seconds"] == 1.234568
    assert line["charges"] == [
        {"tier": "routing", "endpoint": "routing/0", "gpu_seconds": 0.75, "cost_microdollars": 120}
    ]
    assert set(line) == {"event", "time", *record().__dataclass_fields__}
    assert (line["tier"], line["outcome"], line["task"], line["output_tokens"]) == ("routing", "ok", "", 5)


def test_what_never_happened_is_null() -> None:
    """Not zero."""
    [line] = lines(lambda log: log.request(record(time_to_first_token_seconds=None)))
    assert line["time_to_first_token_seconds"] is None


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


def test_a_line_break_in_a_text_makes_no_new_line() -> None:
    """Nobody can write lines into the log by what they call themselves."""
    [line] = lines(lambda log: log.request(record(model='x\n{"event":"forged"}')))
    assert line["model"] == 'x\n{"event":"forged"}'


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_cannot_be_written_to_loses_lines_and_nothing_else(closed: bool) -> None:
    """A request never fails because of its log."""
    stream = io.BytesIO() if closed else BrokenStream()
    if closed:
        stream.close()
    log = Log(stream, ManualClock())
    log.request(record())
    log.event("gateway.stopped")
