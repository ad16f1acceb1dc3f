"""``gateway.upstream.tls`` and TLS connections of ``gateway.upstream.pool``."""

import re
import ssl
import subprocess
from pathlib import Path

import pytest

from gateway.errors import UpstreamFailed, UpstreamUnreachable
from gateway.upstream.pool import HttpTransport
from gateway.upstream.tls import client_context
from gateway.upstream.transport import UpstreamRequest
from tests.doubles.scripted_server import Close, Receive, ScriptedServer, Send
from tiers.tiermap import Timeouts

TIMEOUTS = Timeouts(connect=5, headers=5, idle=5)
PONG = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npong"
REQUEST = UpstreamRequest(method=b"POST", path=b"/v1/x", headers=[], body=b"ping")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and a certificate for 127.0.0.1 that it signed itself."""
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
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


def serving(certificate: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_trusted_endpoint_is_spoken_to_in_http_1_1_and_sessions_are_resumed(
    certificate: Path, version: ssl.TLSVersion
) -> None:
    tls = serving(certificate, version)
    async with ScriptedServer([Receive(), Send(PONG)] * 2, tls=tls) as server:
        transport = HttpTransport(server.url, TIMEOUTS, ssl_context=client_context(authorities=certificate))
        seen = []
        for connections in ([1, 1], [2, 2]):
            for _ in connections:
                response = await transport.send(REQUEST)
                assert await response.read(10) == b"pong"
                await response.aclose()
            (connection,) = transport._idle
            assert connection.tls is not None
            seen.append((connection.tls.selected_alpn_protocol(), connection.tls.session_reused))
            connection.abort()
            await connection.gone()
        await transport.aclose()

        assert seen == [("http/1.1", False), ("http/1.1", True)]
        assert server.accepted == 2


async def test_sessions_are_not_resumed_in_a_context_of_the_callers_own(certificate: Path) -> None:
    """Such a context is used as it is."""
    context = ssl.create_default_context(cafile=str(certificate))
    async with ScriptedServer([Receive(), Send(PONG)], tls=serving(certificate)) as server:
        transport = HttpTransport(server.url, TIMEOUTS, ssl_context=context)
        response = await transport.send(REQUEST)
        assert await response.read(10) == b"pong"
        await response.aclose()
        await transport.aclose()
        await server.until(lambda: server.open == 0)


async def test_an_endpoint_that_is_not_trusted_is_unreachable(certificate: Path) -> None:
    async with ScriptedServer([Receive(), Send(PONG)], tls=serving(certificate)) as server:
        transport = HttpTransport(server.url, TIMEOUTS)
        with pytest.raises(UpstreamUnreachable, match=r"certificate is not trusted .*self-signed"):
            await transport.send(REQUEST)
        assert not server.requests
        assert not transport._open
        await transport.aclose()


async def test_an_endpoint_without_tls_is_unreachable_over_tls() -> None:
    async with ScriptedServer([Send(PONG), Close()]) as server:
        transport = HttpTransport(server.url.replace("http:", "https:"), TIMEOUTS)
        with pytest.raises(UpstreamUnreachable, match=re.escape(f"127.0.0.1:{server.port} could be made")):
            await transport.send(REQUEST)
        await transport.aclose()


async def test_a_cut_answer_over_tls_is_an_error(certificate: Path) -> None:
    async with ScriptedServer([Receive(), Send(PONG[:-1]), Close()], tls=serving(certificate)) as server:
        transport = HttpTransport(server.url, TIMEOUTS, ssl_context=client_context(authorities=certificate))
        response = await transport.send(REQUEST)
        with pytest.raises(UpstreamFailed):
            await response.read(10)
        await response.aclose()
        await transport.aclose()


async def test_closing_an_unfinished_answer_over_tls_closes_the_connection_at_once(certificate: Path) -> None:
    async with ScriptedServer([Receive(), Send(PONG[:-1])], tls=serving(certificate)) as server:
        transport = HttpTransport(server.url, TIMEOUTS, ssl_context=client_context(authorities=certificate))
        response = await transport.send(REQUEST)
        await response.aclose()
        await server.until(lambda: server.open == 0)
        await transport.aclose()


def test_a_connection_that_received_no_session_changes_nothing() -> None:
    context = client_context()

    context.remember(None)

    assert context.session is None


def test_the_default_context_checks_certificates_and_names() -> None:
    context = client_context()

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] >= 0
