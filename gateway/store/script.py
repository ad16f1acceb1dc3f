"""Lua scripts, each one atomic step in the store, run by their names."""

import hashlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Protocol, Self

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from gateway.store.resp import Reply, unavailable


class Commands(Protocol):
    """Where commands go: ``gateway.store.multiplexed.Multiplexed``."""

    def execute(self, *parts: bytes | str | int) -> Awaitable[Reply]:
        """The reply to one command, which is under way once this returns. Raises ``RedisError``."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script by its text and by the name that the store itself gives it, its SHA-1."""

    text: str
    sha: bytes

    @classmethod
    def of(cls, package: str, *names: str) -> Self:
        """The files ``scripts/NAME.lua`` of ``package``, one after the other."""
        folder = resources.files(package).joinpath("scripts")
        text = "".join(folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names)
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode())

    async def run(self, commands: Commands, key: bytes, arguments: Sequence[bytes | str | int], *, keeps: str) -> Reply:
        """What the script returns for one key; it must bear to be run twice with the same arguments.

        It is run once more where the connection was lost, and sent whole where the store does not know it, as
        after its restart. Silence is not tried again: it has cost its time already.

        Args:
            commands: Where to run it.
            key: The one key by which a cluster knows where it belongs.
            arguments: What follows.
            keeps: What the store keeps for the caller, for the error's message.

        Raises:
            StoreUnavailable: The store cannot be reached, does not answer, or refuses.
        """
        try:
            return await commands.execute(b"EVALSHA", self.sha, 1, key, *arguments)
        except (RedisError, OSError) as error:
            first = error
        try:
            if isinstance(first, RedisConnectionError):
                return await self._again(commands, key, arguments)
            if isinstance(first, NoScriptError):
                return await commands.execute(b"EVAL", self.text, 1, key, *arguments)
        except (RedisError, OSError) as error:
            first = error
        raise unavailable(first, keeps=keeps) from first

    async def _again(self, commands: Commands, key: bytes, arguments: Sequence[bytes | str | int]) -> Reply:
        try:
            return await commands.execute(b"EVALSHA", self.sha, 1, key, *arguments)
        except NoScriptError:
            return await commands.execute(b"EVAL", self.text, 1, key, *arguments)
