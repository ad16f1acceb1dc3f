"""Scripts that read the time from a key in place of the store's clock, so that a test can move it."""

import hashlib
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from gateway.store.multiplexed import Multiplexed
from gateway.store.resp import command

START = 2_100_000_000.0
"""Where moved clocks begin, in 2036: what the store keeps until some time after that does not go during a test."""


class MovedCommands:
    """``gateway.store.script.Commands`` whose scripts find the time in the hash ``key``."""

    def __init__(self, commands: Multiplexed, key: str) -> None:
        self._commands = commands
        self._time = f"call('HMGET', '{key}', 'seconds', 'microseconds')".encode()
        self._known: dict[bytes, bytes] = {}

    async def send(self, packed: bytes) -> Any:  # noqa: ANN401 - any reply
        """As ``Multiplexed.send``; asks for the whole script once, as a store does that was restarted."""
        reader = hiredis.Reader()
        reader.feed(packed)
        verb, script, *rest = reader.gets()
        if verb == b"EVAL":
            name = hashlib.sha1(script, usedforsecurity=False).hexdigest().encode()
            self._known[name] = script.replace(b"call('TIME')", self._time)
        else:
            name = script
        if name not in self._known:
            raise NoScriptError("no such script")
        return await self._commands.send(command(b"EVAL", self._known[name], *rest))


async def set_time(client: Redis, key: str, unix: float) -> None:
    """What the scripts take for now."""
    seconds, rest = divmod(round(unix * 1_000_000), 1_000_000)
    await client.hset(key, mapping={"seconds": seconds, "microseconds": rest})
