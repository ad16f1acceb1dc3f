"""Connections are shared by all tiers, and never across gateways, keys or event loops."""

import asyncio

from openai import AsyncOpenAI

from orchestrator.client import Access, async_client, client, close_async_clients
from orchestrator.settings import Secret, Settings

HERE = Access(settings=Settings(url="http://127.0.0.1:9/v1", key=Secret("sk-1")), timeout=5.0, max_retries=1)
ELSEWHERE = Access(settings=Settings(url="http://127.0.0.1:9/v1", key=Secret("sk-2")), timeout=5.0, max_retries=1)


def test_one_client_per_gateway_and_key() -> None:
    assert client(HERE) is client(HERE)
    assert client(HERE) is not client(ELSEWHERE)
    assert client(ELSEWHERE).api_key == "sk-2"
    assert (client(HERE).timeout, client(HERE).max_retries) == (5.0, 1)


async def test_one_asynchronous_client_per_loop() -> None:
    assert async_client(HERE) is async_client(HERE)
    assert async_client(HERE) is not async_client(ELSEWHERE)

    async def on_another_loop() -> AsyncOpenAI:
        try:
            return async_client(HERE)
        finally:
            await close_async_clients()

    assert await asyncio.to_thread(asyncio.run, on_another_loop()) is not async_client(HERE)


async def test_closed_clients_are_replaced() -> None:
    closed = async_client(HERE)
    await close_async_clients()
    assert closed.is_closed()
    assert not async_client(HERE).is_closed()


async def test_closing_where_nothing_is_open_does_nothing() -> None:
    await close_async_clients()
    await close_async_clients()
