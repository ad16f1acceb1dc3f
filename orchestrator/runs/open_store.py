"""From a setting to a store of runs: an address of Redis or Valkey, or a directory."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from orchestrator.clock import unix as system_unix
from orchestrator.errors import SettingsInvalid
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.redis_store import RedisRunStore
from orchestrator.runs.store import RunStore

_SCHEMES = ("redis://", "rediss://", "unix://")


class OpenRunStore(RunStore, Protocol):
    """A store that was opened, and is to be closed."""

    async def close(self) -> None:
        """Let go of its connections, or of its directory."""


def open_store(place: str, *, unix: Callable[[], float] = system_unix) -> OpenRunStore:
    """The store at ``place``: ``redis://…``, ``rediss://…`` or ``unix://…`` for several workers, else a directory.

    Redis is connected to when it is first asked. ``unix`` is the clock of a directory; Redis has its own.

    Raises:
        StoreUnavailable: The directory is in use by another process, or cannot be written.
        SettingsInvalid: The address cannot be used. It is not repeated, for it may hold a password.
    """
    if place.startswith(_SCHEMES):
        try:
            return RedisRunStore.from_url(place)
        except ValueError as error:
            raise SettingsInvalid(
                "The address of the store of runs cannot be read. Example: redis://HOST:6379/0"
            ) from error
    if "://" in place:
        scheme = place.partition("://")[0]
        raise SettingsInvalid(
            f"Runs cannot be kept at {scheme}://. Give redis://, rediss:// or unix://, or a directory."
        )
    return DirectoryRunStore(Path(place), unix=unix)
