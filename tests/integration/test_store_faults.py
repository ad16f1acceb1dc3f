"""Faults of real clusters and Sentinels that take a moment: refused meanwhile, and nothing lost."""

from pathlib import Path

import pytest

from gateway.store import open_store
from tests.integration.test_store_located import KEY, added, is_back
from tests.store_servers import HOST, SERVICE, cluster, half_moved, owner_of, replica_of, server
from tests.stores import eventually

pytestmark = pytest.mark.integration


async def test_in_a_cluster_a_replica_takes_the_place_of_an_owner_that_crashed(tmp_path: Path) -> None:
    """The gateway finds it by itself, and what the replica had by then is there."""
    async with cluster("valkey") as nodes:
        owner = await owner_of(nodes, KEY)
        other = next(node for node in nodes if node is not owner)
        async with (
            replica_of("valkey", owner) as replica,
            open_store(f"redis+cluster://{HOST}:{other.port}", data_directory=tmp_path) as store,
        ):
            assert await added(store) == 1

            async def copied() -> bool:
                async with replica.client() as client:
                    await client.readonly()
                    return await client.get(KEY) == b"1"

            await eventually(copied)
            owner.kill()
            await eventually(lambda: is_back(store))
            async with replica.client() as client:
                assert int(await client.get(KEY) or 0) >= 2


async def test_while_a_slot_is_moved_key_by_key_what_would_be_torn_is_refused(tmp_path: Path) -> None:
    """``ASK``, and what follows it, is told to nobody half way: the script did not run."""
    async with cluster("redis") as nodes:
        owner = await owner_of(nodes, KEY)
        other = next(node for node in nodes if node is not owner)
        async with open_store(f"redis+cluster://{HOST}:{other.port}", data_directory=tmp_path) as store:
            await half_moved(nodes, KEY, other)
            assert await added(store) is None
            await half_moved(nodes, KEY, other, back=True)
            await eventually(lambda: is_back(store))
            assert await added(store) == 2


async def test_sentinels_and_masters_may_both_speak_tls(certificates: Path, tmp_path: Path) -> None:
    """Debian's servers: the bundled one knows no TLS."""
    own = [f"--tls-{name}-file" for name in ("cert", "key", "ca-cert")]
    files = [str(certificates / name) for name in ("store.pem", "store.key", "ca.pem")]
    options = [word for pair in zip(own, files, strict=True) for word in pair] + ["--tls-auth-clients", "no"]
    async with server("redis", *options, tls=True) as master:
        lines = [f"{name.removeprefix('--')} {file}" for name, file in zip(own, files, strict=True)]
        lines += [
            "tls-replication yes",
            "tls-auth-clients no",
            f"sentinel monitor {SERVICE} {HOST} {master.port} 1",
            "",
        ]
        async with server("redis", "--sentinel", file="\n".join(lines), tls=True) as sentinel:
            url = f"rediss+sentinel://{HOST}:{sentinel.port}/{SERVICE}?ssl_ca_certs={files[2]}"
            async with open_store(url, data_directory=tmp_path) as store:
                assert await added(store) == 1
                assert await store.client.get(KEY) == b"1"
            async with open_store(url.split("?", 1)[0], data_directory=tmp_path) as store:
                assert await added(store) is None
