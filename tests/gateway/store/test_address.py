import asyncio
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.errors import StoreUnavailable
from gateway.store import open_store
from gateway.store.address import IDLE_PROBE_SECONDS, Address
from tests.doubles.scripted_server import ScriptedServer, Send
from tests.doubles.store_steps import OK, Commands


def address_of(url: str) -> Address:
    pool = ConnectionPool.from_url(url)
    return Address.of(pool.connection_class(**pool.connection_kwargs), pool.connection_kwargs)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and a certificate for 127.0.0.1 that it signed itself."""
    pem = tmp_path_factory.mktemp("tls") / "store.pem"
    subject = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [
            *["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
            *["-days", "2", *subject, "-keyout", str(pem), "-out", f"{pem}.crt"],
        ],
        check=True,
        capture_output=True,
    )
    pem.write_bytes(pem.read_bytes() + Path(f"{pem}.crt").read_bytes())
    return pem


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", Address(host="cache")),
        ("redis://cache:7000/3", Address(host="cache", port=7000, database=3)),
        ("redis://:p%40ss@cache", Address(host="cache", password="p@ss")),
        ("redis://me:hunter2@cache?db=2", Address(host="cache", username="me", password="hunter2", database=2)),
        ("redis://[::1]:6379?client_name=tiergate", Address(host="::1", client_name="tiergate")),
        ("unix:///run/valkey%20one.sock?db=1", Address(path="/run/valkey one.sock", database=1)),
    ],
)
def test_a_url_means_what_it_means_to_redis_py(url: str, address: Address) -> None:
    """Whose parser reads it."""
    assert address_of(url) == address


def test_tls_is_as_strict_as_the_url_says() -> None:
    """Certificates are checked unless it says otherwise."""
    strict, lax = address_of("rediss://cache").tls, address_of("rediss://cache?ssl_cert_reqs=none").tls
    assert strict is not None
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert lax is not None
    assert lax.verify_mode == ssl.CERT_NONE


def test_secrets_are_not_shown() -> None:
    address = Address(host="cache", username="me", password="hunter2")
    assert "hunter2" not in repr(address) + address.name
    assert Address(path="/run/store.sock").name == "the store at /run/store.sock"


async def test_a_store_behind_tls_is_spoken_to_if_its_certificate_is_trusted(certificate: Path, tmp_path: Path) -> None:
    """And refused if it is not, with the reason."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    async with ScriptedServer([Commands(), Send(OK)], tls=serving) as server:
        url = f"rediss://127.0.0.1:{server.port}"
        async with open_store(f"{url}?ssl_ca_certs={certificate}", data_directory=tmp_path) as store:
            await store.ping()
            assert server.requests == [b"PING"]
        async with open_store(url, data_directory=tmp_path) as store:
            with pytest.raises(StoreUnavailable, match="certificate verify failed"):
                await store.ping()


async def test_idle_connections_are_probed_by_the_kernel() -> None:
    """A firewall that forgot one is noticed before a request meets it."""
    async with ScriptedServer([]) as server:
        line = await Address(host="127.0.0.1", port=server.port).open(asyncio.get_running_loop())
        end = line._transport.get_extra_info("socket")
        assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_PROBE_SECONDS
        line.end(RedisConnectionError("done"))
        await line.gone
