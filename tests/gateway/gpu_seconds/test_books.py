"""What is told in the words of the store; the script itself is tested in ``tests/integration``."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.errors import StoreUnavailable
from gateway.gpu_seconds.books import KEPT_HOURS, Report, StoredBooks, books_of
from tests.doubles.recording_commands import RecordingCommands
from tiers.bill import Books


async def test_endpoints_come_first_and_bookings_after_them() -> None:
    commands = RecordingCommands([4, 0])
    books = StoredBooks(commands)
    reports = {"e1": Report(in_flight=2), "e2": Report(workers=(0.0, 30.0))}
    entries = {("attributed", "a", "e1"): 250, ("awake", "", "e2"): 7}
    assert await books.exchange(reports, 9, entries, holds_seconds=2) == {"e1": 4, "e2": 0}
    [words] = commands.sent
    assert words[5:10] == [b"9", b"2000", str(KEPT_HOURS).encode(), b"30000", b"2"]
    assert words[10:16] == [b"e1", b"2", b"", b"e2", b"0", b"0 30"]
    assert words[16:] == [b"attributed a e1", b"250", b"awake  e2", b"7"]


async def test_a_store_that_is_away_is_said_to_be() -> None:
    commands = RecordingCommands(RedisConnectionError("gone"), RedisConnectionError("gone"))
    with pytest.raises(StoreUnavailable, match="books of GPU seconds"):
        await StoredBooks(commands).exchange({}, 1, {}, holds_seconds=1)


def test_entries_of_several_hours_are_summed() -> None:
    entries = [(("attributed", "a", "e"), 1), (("attributed", "a", "e"), 2), (("awake", "", "e"), 5)]
    assert books_of([*entries, (("starting", "", "f"), 4)]) == {
        "e": Books(attributed={"a": 3}, awake=5),
        "f": Books(starting=4),
    }
