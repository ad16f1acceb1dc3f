from pathlib import Path

import pytest

from gateway.store import open_store


@pytest.mark.parametrize(
    ("url", "description"),
    [
        ("redis://cache.internal", "redis://cache.internal:6379/0"),
        ("redis://:hunter2@cache.internal:7000/3", "redis://cache.internal:7000/3"),
        ("rediss://gateway:hunter2@cache.internal:6380", "rediss://cache.internal:6380/0"),
        ("rediss://cache.internal?ssl_cert_reqs=none&password=hunter2", "rediss://cache.internal:6379/0"),
        ("redis://[::1]:6379", "redis://[::1]:6379/0"),
        ("unix:///run/valkey%20one.sock?password=hunter2", "unix:///run/valkey one.sock"),
    ],
)
async def test_a_store_is_described_without_its_password(url: str, description: str, tmp_path: Path) -> None:
    """And opened without being there: it is connected to when it is used."""
    async with open_store(url, data_directory=tmp_path) as store:
        assert store.description == description
        assert "hunter2" not in repr(store)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "http://:hunter2@host",
        "redis://",
        "redis://:hunter2@host:port",
        "unix://",
        "redis://:hunter2@host?colour=blue",
        "redis://:hunter2@host?socket_timeout=soon",
        "rediss://:hunter2@host?ssl_ca_certs=/nobody/ca.pem",
        "rediss://:hunter2@host?ssl_cert_reqs=perhaps",
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str, tmp_path: Path) -> None:
    """It may hold a password."""
    with pytest.raises(ValueError, match=r"store|socket_timeout") as caught:
        async with open_store(url, data_directory=tmp_path):
            raise AssertionError("opened")
    assert "hunter2" not in str(caught.value)


async def test_connections_are_bounded_and_impatient(tmp_path: Path) -> None:
    """Nobody waits for a store longer than a few seconds; a burst waits for a connection and is not refused."""
    async with open_store("redis://cache.internal", data_directory=tmp_path) as store:
        pool = store.client.connection_pool
        assert pool.max_connections == 32
        assert pool.connection_kwargs["socket_timeout"] == 2.0
        assert pool.connection_kwargs["socket_connect_timeout"] == 2.0
