"""How many scouts are out. That it holds over several processes is shown in ``tests/integration``."""

import asyncio

from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.upstream.wakes import Wakes
from tests.doubles.recording_commands import RecordingCommands
from tests.stores import eventually

LOST = RedisConnectionError("gone")
BASE = "https://api.runpod.test/v2/e1"


def said(commands: RecordingCommands) -> list[tuple[bytes, ...]]:
    """Of each command: how many are out, how many are wanted, how many may be."""
    return [tuple(words[6:9]) for words in commands.sent]


async def test_what_a_process_says_is_the_whole_of_what_is_out() -> None:
    """So that saying it twice is saying it once."""
    commands = RecordingCommands(2, 0, 0, 0)
    wakes = Wakes(commands)
    assert await wakes.claim(BASE, 3, 3) == 2
    assert await wakes.claim(BASE, 1, 3) == 0
    await wakes.release(BASE, 1)
    await wakes.renew()
    assert said(commands) == [(b"0", b"3", b"3"), (b"2", b"1", b"3"), (b"1", b"0", b"0"), (b"1", b"0", b"0")]
    assert {words[4] for words in commands.sent} == {BASE.encode()}
    assert [words[10] for words in commands.sent] == [b"0", b"0", b"1", b"0"]


async def test_where_nobody_is_out_nothing_is_said_again() -> None:
    commands = RecordingCommands(0, 1, 0)
    wakes = Wakes(commands)
    assert await wakes.claim(BASE, 1, 1) == 0
    assert await wakes.claim(BASE, 1, 1) == 1
    await wakes.release(BASE, 1)
    await wakes.renew()
    assert len(commands.sent) == 3


async def test_without_the_store_a_process_counts_its_own() -> None:
    """And says what is so when the store is back, also that nobody is out any more."""
    commands = RecordingCommands(*[LOST] * 6)
    wakes = Wakes(commands)
    assert await wakes.claim(BASE, 2, 2) == 2
    assert await wakes.claim(BASE, 2, 3) == 1
    await wakes.release(BASE, 3)
    commands.replies.append(0)
    await wakes.renew()
    assert said(commands)[-1] == (b"0", b"0", b"0")
    await wakes.renew()
    assert not commands.replies


async def test_what_is_out_is_said_again_and_again() -> None:
    """Until it is back: a scout may be out for longer than what is said holds."""
    commands = RecordingCommands(*[1] * 1000)
    wakes = Wakes(commands)
    running = asyncio.get_running_loop().create_task(wakes.run(every_seconds=0.001))
    try:
        await wakes.claim(BASE, 1, 1)
        await eventually(lambda: len(commands.sent) >= 4)
    finally:
        running.cancel()
        await asyncio.wait([running])
