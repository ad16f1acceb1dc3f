"""TLS in front of the mock: Debian's nginx with an authority of our own, one door for each way to be called."""

import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from bench.stage import Stage
from bench.system import program

PORTS_ABOVE = 300
"""The doors' ports begin this far above the mock's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One port of the terminator.

    Attributes:
        tls: ``TLSv1.2``, ``TLSv1.3``, or ``None`` for plain HTTP.
        reuse: Whether a connection serves more than one request.
        tickets: Whether sessions can be resumed.
    """

    name: str
    tls: str | None = None
    reuse: bool = True
    tickets: bool = True
    http2: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminator:
    """It runs; ``urls`` has each door's base URL, ``authority`` the certificate to trust."""

    process: "Popen[bytes]"
    urls: dict[str, str]
    authority: Path
    log: Path

    def handshakes(self) -> Counter[tuple[str, bool]]:
        """Requests so far at the doors that close each connection: (version of TLS, resumed) → count."""
        lines = self.log.read_text(encoding="utf-8").split("\n") if self.log.is_file() else []
        words = [line.split() for line in lines if line.count(" ") == 1]
        return Counter((version, reused == "r") for version, reused in words)


@contextmanager
def terminator(stage: Stage, doors: Sequence[Door]) -> Iterator[Terminator]:
    """The terminator with ``doors``, on the load's core."""
    harness, folder = stage.harness, stage.scratch / "terminator"
    folder.mkdir(exist_ok=True)
    authority = _certificates(folder)
    first = harness.upstream_port + PORTS_ABOVE
    ports = {door.name: first + number for number, door in enumerate(doors)}
    servers = "\n".join(_server(door, ports[door.name], folder) for door in doors)
    file = folder / "nginx.conf"
    file.write_text(_configuration(folder, harness.upstream_port, servers), encoding="utf-8")
    command = [str(harness.nginx), "-p", str(folder), "-c", str(file)]
    with program(stage, command, name="terminator") as process:
        for port in ports.values():
            harness.wait_port(port)
        urls = {door.name: f"{'https' if door.tls else 'http'}://127.0.0.1:{ports[door.name]}/v1" for door in doors}
        yield Terminator(process=process, urls=urls, authority=authority, log=folder / "handshakes.log")


def _server(door: Door, port: int, folder: Path) -> str:
    lines = [f"listen 127.0.0.1:{port} backlog=4096{' ssl' * bool(door.tls)}{' http2' * door.http2};"]
    if door.tls:
        lines += [
            f"ssl_certificate {folder}/server.pem;", f"ssl_certificate_key {folder}/server.key;",
            f"ssl_protocols {door.tls};", f"ssl_session_tickets {'on' if door.tickets else 'off'};",
        ]  # fmt: skip
    if not door.reuse:
        lines += ["keepalive_requests 1;", f"access_log {folder}/handshakes.log handshakes;"]
    location = 'location / { proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; }'
    return "server { " + " ".join([*lines, location]) + " }"


def _configuration(folder: Path, mock_port: int, servers: str) -> str:
    places = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off; user root; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
access_log off; keepalive_requests 100000000; keepalive_timeout 60s; proxy_buffering off; {places}
client_body_buffer_size 64k; client_max_body_size 32m;
log_format handshakes '$ssl_protocol $ssl_session_reused';
upstream mock {{ server 127.0.0.1:{mock_port}; keepalive 512; keepalive_requests 100000000; }}
{servers}
}}
"""


def _certificates(folder: Path) -> Path:
    """An authority and a certificate for 127.0.0.1, on the curve that most of the web has; returns the authority's."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n", encoding="utf-8")
    for words in (
        ["req", "-x509", *curve, "-days", "2", "-subj", "/CN=Tiergate bench", "-keyout", "ca.key", "-out", "ca.pem"],
        ["req", "-new", *curve, "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr"],
        ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
         "-extfile", "names", "-out", "server.pem"],
    ):  # fmt: skip
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    return folder / "ca.pem"
