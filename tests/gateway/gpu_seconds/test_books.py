"""What is told in the words of the store; the script itself is tested in ``tests/integration``."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.errors import StoreUnavailable
from gateway.gpu_seconds.books import KEPT_HOURS, StoredBooks, books_of
from tests.doubles.recording_commands import RecordingCommands
from tiers.bill import Books


async def test_endpoints_come_first_and_bookings_after_them() -> None:
    commands = RecordingCommands([4, 0])
    books = StoredBooks(commands)
    entries = {("attributed", "a", "e1"): 250, ("idle", "", "e2"): 7}
    assert await books.exchange({"e1": 2, "e2": 0}, 9, entries, holds_seconds=2) == {"e1": 4, "e2": 0}
    [words] = commands.sent
    assert words[5:9] == [b"9", b"2000", str(KEPT_HOURS).encode(), b"2"]
    assert words[9:] == [b"e1", b"2", b"e2", b"0", b"attributed a e1", b"250", b"idle  e2", b"7"]


async def test_a_store_that_is_away_is_said_to_be() -> None:
    commands = RecordingCommands(RedisConnectionError("gone"), RedisConnectionError("gone"))
    with pytest.raises(StoreUnavailable, match="books of GPU seconds"):
        await StoredBooks(commands).exchange({}, 1, {}, holds_seconds=1)


def test_entries_of_several_hours_are_summed() -> None:
    entries = [(("attributed", "a", "e"), 1), (("attributed", "a", "e"), 2), (("idle", "", "e"), 3)]
    assert books_of([*entries, (("starting", "", "f"), 4)]) == {
        "e": Books(attributed={"a": 3}, idle=3),
        "f": Books(starting=4),
    }
