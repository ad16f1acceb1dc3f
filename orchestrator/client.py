"""The OpenAI clients behind every tier-bound LLM: one per gateway, and for asynchronous calls one per event loop.

A client holds the connections. Tiers share them, since a tier is only a name in the request. Making one costs tens
of milliseconds of processor time, and an asynchronous one works on no other event loop than its first.
"""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from weakref import WeakKeyDictionary

import httpx
from openai import AsyncOpenAI, DefaultAioHttpClient, DefaultHttpxClient, OpenAI

from orchestrator.call_waits import hear, hear_async
from orchestrator.settings import Settings

CLIENTS_MAX: Final = 64
"""Synchronous clients kept: distinct gateways, keys, timeouts and retry counts in one process."""

CONNECTIONS_MAX: Final = 1000
"""Asynchronous calls at once of one client. Its connections are aiohttp's, below httpx: httpx' own ask the system about
every idle one of them at each call, which took half of the processor time when two hundred runs call at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """All that a client depends on: which gateway with which key, how long to wait (seconds), how often to retry."""

    settings: Settings
    timeout: float
    max_retries: int


class _Connections(DefaultHttpxClient):
    """Closes them when nobody holds the client any more, as OpenAI's own does and one that it is given does not."""

    def __del__(self, _suppress: type[suppress] = suppress) -> None:
        # Held here: at the interpreter's end this module's names may be gone before the client is.
        if not self.is_closed:
            with _suppress(Exception):
                self.close()


_async_clients: MutableMapping[asyncio.AbstractEventLoop, dict[Access, AsyncOpenAI]] = WeakKeyDictionary()


@lru_cache(maxsize=CLIENTS_MAX)
def client(access: Access) -> OpenAI:
    """The client for synchronous calls; the same one for the same ``access``, safe to use from many threads."""
    return OpenAI(
        base_url=access.settings.url,
        api_key=access.settings.key.reveal(),
        timeout=access.timeout,
        max_retries=access.max_retries,
        http_client=_Connections(event_hooks={"response": [hear]}),
    )


def async_client(access: Access) -> AsyncOpenAI:
    """The client for asynchronous calls on the running loop; the same one for the same ``access`` and loop."""
    clients = _async_clients.setdefault(asyncio.get_running_loop(), {})
    if access not in clients:
        clients[access] = AsyncOpenAI(
            base_url=access.settings.url,
            api_key=access.settings.key.reveal(),
            timeout=access.timeout,
            max_retries=access.max_retries,
            http_client=DefaultAioHttpClient(
                limits=httpx.Limits(max_connections=CONNECTIONS_MAX), event_hooks={"response": [hear_async]}
            ),
        )
    return clients[access]


async def close_async_clients() -> None:
    """Close what asynchronous calls opened on the running loop. For the loop's owner, when its runs have ended."""
    for opened in _async_clients.pop(asyncio.get_running_loop(), {}).values():
        await opened.close()
        # aiohttp's connections are closed by the loop when it comes round.
        await asyncio.sleep(0)
