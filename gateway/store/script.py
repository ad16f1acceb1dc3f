"""Lua scripts, each one atomic step in the store, run by their names."""

import hashlib
from collections.abc import Awaitable
from contextlib import suppress
from importlib import resources
from typing import Final, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from gateway.store.resp import Reply, unavailable, words

STARTS_KEPT_MAX: Final = 64
"""Numbers of arguments that a script remembers: one for each number of budgets that concern a request."""


class Commands(Protocol):
    """Where commands go: ``gateway.store.multiplexed.Multiplexed``."""

    def send(self, packed: bytes) -> Awaitable[Reply]:
        """The reply to one packed command, which is under way once this returns. Raises ``RedisError``."""


class Script:
    """A script for one key, run by the name that the store itself gives it, its SHA-1.

    Attributes:
        text: Its source.
        sha: Its name.
    """

    __slots__ = ("_by_name", "_keeps", "_key", "_starts", "sha", "text")

    def __init__(self, text: str, *, key: bytes, keeps: str) -> None:
        """``key`` is the one by which a cluster knows where the script belongs.

        ``keeps`` is what the store keeps for the caller, for errors' messages.
        """
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode()
        self._key = key
        self._keeps = keeps
        self._by_name = words(b"EVALSHA", self.sha, 1, key)
        self._starts: dict[int, bytes] = {}
        """The command up to its arguments, by their number: most calls of a script have as many."""

    @classmethod
    def of(cls, package: str, *names: str, key: bytes, keeps: str) -> "Script":
        """The files ``scripts/NAME.lua`` of ``package``, one after the other."""
        folder = resources.files(package).joinpath("scripts")
        return cls(
            "".join(folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names), key=key, keeps=keeps
        )

    async def run(self, commands: Commands, count: int, arguments: bytes) -> Reply:
        """What the script returns for ``count`` arguments, packed by ``gateway.store.resp.words``; see ``send``."""
        return await self.send(commands, count, self.start(count) + arguments)

    async def send(self, commands: Commands, count: int, packed: bytes) -> Reply:
        """What the script returns; it must bear to be run twice with the same arguments.

        It is run once more where the connection was lost, and sent whole where the store does not know it, as
        after its restart. Silence is not tried again: it has cost its time already.

        Args:
            commands: Where to run it.
            count: How many arguments there are.
            packed: What ``start`` gives for so many, and they, packed.

        Raises:
            StoreUnavailable: The store cannot be reached, does not answer, or refuses.
        """
        try:
            return await commands.send(packed)
        except (RedisError, OSError) as error:
            first = error
        arguments = packed[len(self.start(count)) :]
        try:
            if isinstance(first, RedisConnectionError):
                return await self._again(commands, count, arguments)
            if isinstance(first, NoScriptError):
                return await self._whole(commands, count, arguments)
        except (RedisError, OSError) as error:
            first = error
        raise unavailable(first, keeps=self._keeps) from first

    def start(self, count: int) -> bytes:
        """The command up to its ``count`` arguments."""
        start = self._starts.get(count)
        if start is None:
            start = b"*%d\r\n%b" % (count + 4, self._by_name)
            if len(self._starts) < STARTS_KEPT_MAX:
                self._starts[count] = start
        return start

    async def _again(self, commands: Commands, count: int, arguments: bytes) -> Reply:
        with suppress(NoScriptError):
            return await commands.send(self.start(count) + arguments)
        return await self._whole(commands, count, arguments)

    async def _whole(self, commands: Commands, count: int, arguments: bytes) -> Reply:
        whole = words(b"EVAL", self.text, 1, self._key)
        return await commands.send(b"*%d\r\n%b%b" % (count + 4, whole, arguments))
