"""How often a key may have workers woken ahead of its requests, over all processes of one store.

A worker that is woken is billed, and no request owes it: so a key that asks for workers and never uses them costs
money that no budget counts. Waking is rare - one worker serves all who wait for it - so that the bound is far from what
Flows need.
"""

from typing import Final

from gateway.errors import RateLimited
from gateway.store.resp import words
from gateway.store.script import Commands, Script

WAKES_PER_MINUTE_MAX: Final = 30
"""Wakes that one key may have sent within a minute, over all tiers."""
_MINUTE_MS: Final = 60_000
_ARGUMENTS: Final = 3


class Allowance:
    """Counts by the key's name."""

    def __init__(self, commands: Commands, *, prefix: str = "tiergate", most: int = WAKES_PER_MINUTE_MAX) -> None:
        self._commands = commands
        self._most = most
        self._script = Script.of(
            "gateway.upstream",
            "allowance",
            key=f"{{{prefix}}}:wakes_ahead".encode(),
            keeps="how often workers were woken",
        )

    async def take(self, key: str) -> None:
        """One more is allowed, and counted.

        Raises:
            RateLimited: The key has had as many as it may have within a minute.
            StoreUnavailable: Nobody can say how many it has had.
        """
        left: int = await self._script.run(self._commands, _ARGUMENTS, words(key, self._most, _MINUTE_MS))
        if left:
            raise RateLimited(
                f"The key {key!r} has had {self._most} workers woken within a minute; its requests still wake some.",
                retry_after_seconds=left / 1000,
            )
