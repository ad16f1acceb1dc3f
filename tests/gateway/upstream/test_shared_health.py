"""What processes tell each other, in the words of the store; the script itself is tested in ``tests/integration``."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.errors import StoreUnavailable
from gateway.upstream.shared_health import AWAITED, UNUSED, USED, News, StoredHealth
from tests.doubles.clock import ManualClock
from tests.doubles.recording_commands import RecordingCommands
from tiers.warmth import Sample

NEVER = float("-inf")
SAMPLE = Sample(ready=1, in_queue=2)


async def test_ages_travel_and_not_times() -> None:
    """Each process has a clock of its own."""
    clock = ManualClock()
    now = clock.monotonic()
    told = [
        News(base="e1", level=AWAITED, waiting=3, worked_at=now - 1.5, sample=SAMPLE, sampled_at=now - 0.25),
        News(base="e2", level=UNUSED, waiting=0, worked_at=NEVER, sample=None, sampled_at=NEVER),
    ]
    encoded = (
        b'{"idle":0,"initializing":0,"ready":1,"running":0,"throttled":0,"unhealthy":0,"in_queue":2,"in_progress":0}'
    )
    commands = RecordingCommands([1, [USED, 4, 500, encoded, 2000], [UNUSED, 0, -1, b"", 0]])
    leading, heard = await StoredHealth(commands, clock=clock, lease_seconds=2).exchange(told, holds_seconds=3)
    [words] = commands.sent
    assert words[5:] == [
        b"3000",
        b"3000",
        b"e1",
        b"2",
        b"3",
        b"1500",
        encoded,
        b"250",
        b"e2",
        b"0",
        b"0",
        b"-1",
        b"",
        b"0",
    ]
    assert leading
    assert heard == [
        News(base="e1", level=USED, waiting=4, worked_at=now - 0.5, sample=SAMPLE, sampled_at=now - 2),
        News(base="e2", level=UNUSED, waiting=0, worked_at=NEVER, sample=None, sampled_at=NEVER),
    ]


async def test_a_store_that_is_away_is_said_to_be() -> None:
    commands = RecordingCommands(RedisConnectionError("gone"), RedisConnectionError("gone"))
    with pytest.raises(StoreUnavailable, match="health of endpoints"):
        await StoredHealth(commands, clock=ManualClock()).exchange([], holds_seconds=1)


async def test_what_another_version_wrote_and_cannot_be_read_is_no_sample() -> None:
    """The rest of what is known counts."""
    commands = RecordingCommands([0, [USED, 0, 1000, b'{"idle":"many"}', 10]])
    clock = ManualClock()
    told = News(base="e1", level=UNUSED, waiting=0, worked_at=NEVER, sample=None, sampled_at=NEVER)
    _, [heard] = await StoredHealth(commands, clock=clock).exchange([told], holds_seconds=3)
    assert (heard.sample, heard.sampled_at, heard.worked_at) == (None, NEVER, clock.monotonic() - 1)
