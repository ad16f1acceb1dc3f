"""A control plane for each test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.deploy.emulator.control_plane.rig import OTHER_KEY, Rig


@pytest.fixture
def rig() -> Rig:
    """A world with nothing in it."""
    return Rig()


@pytest.fixture
async def base_url(rig: Rig) -> AsyncIterator[str]:
    """Where the rig's control plane listens."""
    async with rig.served() as url:
        yield url


@pytest.fixture
async def api(rig: Rig, base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of the account ``mine``."""
    async with rig.client(base_url) as client:
        yield client


@pytest.fixture
async def other_api(rig: Rig, base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of the account ``theirs``."""
    async with rig.client(base_url, OTHER_KEY) as client:
        yield client
