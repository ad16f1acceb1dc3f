"""Stores that ask who one is: a user with the rights that the documentation names and no others, and TLS both ways."""

import re
from pathlib import Path

import pytest

import gateway
from gateway.errors import StoreUnavailable
from gateway.store import open_store
from gateway.store.resp import command
from tests.store_servers import HOST, binary, cluster, server

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "store.md"
KEY = "{tiergate}:test"


def acl_rule() -> list[str]:
    """The documentation's, with a password."""
    found = re.search(r"^user tiergate (on .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1].replace("PASSWORD", "hunter2").split()


def commands_of_scripts() -> set[str]:
    """What the gateway's scripts call."""
    files = list(Path(gateway.__path__[0]).rglob("*.lua"))
    assert files
    return {name.lower() for file in files for name in re.findall(r"call\('([A-Z]+)'", file.read_text("utf-8"))}


def test_the_rule_names_what_scripts_call() -> None:
    """Each command, and none that nothing needs."""
    named = {word[1:] for word in acl_rule() if word.startswith("+")}
    others = {word for word in named if word.partition("|")[0] in {"client", "cluster"}}
    assert named - others - {"ping", "select", "command", "eval", "evalsha"} == commands_of_scripts()


@pytest.mark.parametrize("kind", ["redis", "valkey"])
async def test_a_user_with_only_these_rights_can_do_what_a_gateway_does(kind: str, tmp_path: Path) -> None:
    """And nothing with other keys."""
    async with server(kind) as store_server, store_server.client() as admin:
        await admin.acl_setuser("default", enabled=True, nopass=True)
        await admin.execute_command("ACL", "SETUSER", "tiergate", *acl_rule())  # type: ignore[no-untyped-call]
        url = f"redis://tiergate:hunter2@{HOST}:{store_server.port}/2?client_name=tiergate"
        async with open_store(url, data_directory=tmp_path) as store:
            await store.ping()
            script = "redis.call('SET', KEYS[1], 'x') return redis.call('TIME')[1]"
            assert await store.commands.send(_packed("EVAL", script, 1, KEY))
            assert await store.client.get(KEY) == b"x"
            for words in (("SET", "other", "x"), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("DEL", KEY)):
                with pytest.raises(Exception, match=r"NOPERM|permission"):
                    await store.commands.send(_packed(*words))
        for name in commands_of_scripts():
            answer = await admin.execute_command("ACL", "DRYRUN", "tiergate", *_example(name))  # type: ignore[no-untyped-call]
            assert answer in {b"OK", "OK"}, (name, answer)


async def test_in_a_cluster_these_rights_are_enough_too(tmp_path: Path) -> None:
    """To find the node that owns the keys."""
    async with cluster("redis") as nodes:
        for node in nodes:
            await node.ask("ACL", "SETUSER", "tiergate", *acl_rule())
        url = f"redis+cluster://tiergate:hunter2@{HOST}:{nodes[0].port}"
        async with open_store(url, data_directory=tmp_path) as store:
            await store.commands.send(_packed("SET", KEY, "x"))
            assert await store.client.get(KEY) == b"x"


async def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    async with server("redis") as store_server:
        await store_server.ask("ACL", "SETUSER", "tiergate", *acl_rule())
        url = f"redis://tiergate:hunter3@{HOST}:{store_server.port}"
        async with open_store(url, data_directory=tmp_path) as store:
            with pytest.raises(StoreUnavailable, match="WRONGPASS") as caught:
                await store.ping()
        assert "hunter3" not in caught.value.message


async def test_tls_is_spoken_with_a_server_that_asks_for_a_certificate_too(certificates: Path, tmp_path: Path) -> None:
    """Debian's server: the bundled one knows no TLS."""
    assert binary("redis")
    own = [f"--tls-{name}-file" for name in ("cert", "key", "ca-cert")]
    files = [str(certificates / name) for name in ("store.pem", "store.key", "ca.pem")]
    options = [word for pair in zip(own, files, strict=True) for word in pair]
    async with server("redis", *options, tls=True) as store_server:
        url = f"rediss://{HOST}:{store_server.port}?ssl_ca_certs={files[2]}"
        own_certificate = f"&ssl_certfile={files[0]}&ssl_keyfile={files[1]}"
        async with open_store(url + own_certificate, data_directory=tmp_path) as store:
            await store.ping()
            await store.client.set(KEY, "x")
        for refused in (url, f"rediss://{HOST}:{store_server.port}?{own_certificate[1:]}"):
            async with open_store(refused, data_directory=tmp_path) as store:
                with pytest.raises(StoreUnavailable):
                    await store.ping()


def _packed(*words: str | int) -> bytes:
    return command(*words)


def _example(name: str) -> list[str]:
    """A call of the command that has enough words."""
    longer = {
        "expire": ["9"], "expireat": ["9"], "pexpire": ["9"], "hdel": ["f"], "hexists": ["f"], "hget": ["f"],
        "hincrby": ["f", "1"], "hmget": ["f"], "hset": ["f", "1"], "hsetnx": ["f", "1"], "sadd": ["m"], "set": ["v"],
        "xadd": ["*", "f", "v"], "xdel": ["1-1"], "xrange": ["-", "+"], "xrevrange": ["+", "-"],
        "zadd": ["1", "m"], "zcount": ["0", "1"],
        "zrangebyscore": ["0", "1"], "zrem": ["m"], "zremrangebyscore": ["0", "1"], "zscore": ["m"],
    }  # fmt: skip
    return [name] if name == "time" else [name, KEY, *longer.get(name, [])]
