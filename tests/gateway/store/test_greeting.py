"""What is said of the store at the start."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.store import Store
from gateway.store.greeting import greet
from tests.doubles.recording_commands import RecordingCommands
from tests.doubles.redis_client import FakeRedis


@pytest.mark.parametrize("answers", [True, False])
async def test_a_store_is_told_by_its_description_and_why_it_does_not_answer(answers: bool) -> None:
    """It may come later."""
    commands = RecordingCommands(b"PONG" if answers else RedisConnectionError("refused"))
    store = Store(
        client=FakeRedis().as_client(), commands=commands, description="redis://host:6379/0", remedy="Start it."
    )
    told: list[tuple[str, dict[str, Any]]] = []
    await greet(store, lambda name, /, **keys: told.append((name, keys)))
    [(name, keys)] = told
    assert name == ("store.ready" if answers else "store.unavailable")
    assert keys["store"] == "redis://host:6379/0"
    assert ("refused" in keys.get("message", "")) is not answers
