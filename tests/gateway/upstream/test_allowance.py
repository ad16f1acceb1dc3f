"""How often a key may have workers woken. That it holds over several processes is shown in ``tests/integration``."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.errors import RateLimited, StoreUnavailable
from gateway.upstream.allowance import WAKES_PER_MINUTE_MAX, Allowance
from tests.doubles.recording_commands import RecordingCommands


async def test_the_store_counts_by_the_keys_name() -> None:
    commands = RecordingCommands(0)
    await Allowance(commands).take("demo")
    assert commands.sent[0][3:] == [b"{tiergate}:wakes_ahead", b"demo", str(WAKES_PER_MINUTE_MAX).encode(), b"60000"]


async def test_who_has_had_enough_is_told_when_to_come_again() -> None:
    with pytest.raises(RateLimited, match="'demo'") as refused:
        await Allowance(RecordingCommands(12_500)).take("demo")
    assert refused.value.retry_after_seconds == 12.5


async def test_without_the_store_none_is_woken() -> None:
    """Nobody knows how many there were."""
    with pytest.raises(StoreUnavailable):
        await Allowance(RecordingCommands(*[RedisConnectionError("gone")] * 2)).take("demo")
