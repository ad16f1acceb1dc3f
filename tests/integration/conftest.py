"""A Valkey for the tests of this folder, and a client of it whose keys no other test uses."""

import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from gateway.store.embedded import embedded_valkey
from gateway.store.multiplexed import Multiplexed
from tests.stores import client_of, commands_of


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    async with embedded_valkey(tmp_path_factory.mktemp("valkey")) as socket:
        yield socket


@pytest.fixture
async def client(valkey: Path) -> AsyncIterator[Redis]:
    async with client_of(valkey) as client:
        yield client


@pytest.fixture
async def commands(valkey: Path) -> AsyncIterator[Multiplexed]:
    async with commands_of(valkey) as commands:
        yield commands


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and a key and a certificate that it signed, for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    signed = ["-addext", "subjectAltName=IP:127.0.0.1", "-CA", "ca.pem", "-CAkey", "ca.key"]
    openssl("req", "-x509", *new, "-subj", "/CN=store", *signed, "-keyout", "store.key", "-out", "store.pem")
    return folder
