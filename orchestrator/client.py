"""The OpenAI clients behind every tier-bound LLM: one per gateway, and for asynchronous calls one per event loop.

A client holds the connections. Tiers share them, since a tier is only a name in the request. Making one costs tens
of milliseconds of processor time, and an asynchronous one works on no other event loop than its first.
"""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from weakref import WeakKeyDictionary

from openai import AsyncOpenAI, OpenAI

from orchestrator.settings import Settings

CLIENTS_MAX: Final = 64
"""Synchronous clients kept: distinct gateways, keys, timeouts and retry counts in one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """All that a client depends on: which gateway with which key, how long to wait (seconds), how often to retry."""

    settings: Settings
    timeout: float
    max_retries: int


_async_clients: MutableMapping[asyncio.AbstractEventLoop, dict[Access, AsyncOpenAI]] = WeakKeyDictionary()


@lru_cache(maxsize=CLIENTS_MAX)
def client(access: Access) -> OpenAI:
    """The client for synchronous calls; the same one for the same ``access``, safe to use from many threads."""
    return OpenAI(
        base_url=access.settings.url,
        api_key=access.settings.key.reveal(),
        timeout=access.timeout,
        max_retries=access.max_retries,
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
        )
    return clients[access]


async def close_async_clients() -> None:
    """Close what asynchronous calls opened on the running loop. For the loop's owner, when its runs have ended."""
    for opened in _async_clients.pop(asyncio.get_running_loop(), {}).values():
        await opened.close()
