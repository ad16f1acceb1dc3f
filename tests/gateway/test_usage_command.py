"""``usage`` and ``budget explain`` against a server that answers as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gateway.cli import main


@contextmanager
def answering(status: int, body: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server's URL, and what it was asked: paths with the header ``authorization``."""
    asked: list[tuple[str, str]] = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERGATE_KEY", "the-key")


def test_usage_is_printed_as_the_gateway_says(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, "agent  requests\n") as (url, asked):
        words = ["usage", "--by", "agent,tier", "--since", "2d", "--agent", "a b", "--gateway", url]
        assert main(words) == 0
    assert capsys.readouterr().out == "agent  requests\n"
    path = "/tiergate/v1/usage?by=agent%2Ctier&since=2d&agent=a+b&format=table"
    assert asked == [(path, "Bearer the-key")]


def test_a_budget_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, '{"data": []}') as (url, asked):
        assert main(["budget", "explain", "a/b", "--owner", "x", "--format", "json", "--gateway", url]) == 0
    assert json.loads(capsys.readouterr().out) == {"data": []}
    assert asked[0][0] == "/tiergate/v1/budgets/a%2Fb?owner=x"


def test_a_budget_is_printed_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, '{"data": [], "refusals": []}') as (url, _):
        assert main(["budget", "explain", "money", "--gateway", url]) == 0
    assert capsys.readouterr().out == "It refused nobody among the latest records.\n"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(404, '{"error": {"message": "Near it: money."}}', "Near it: money."), (502, "<html>", "status 502")],
)
def test_what_was_refused_is_said(status: int, body: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(status, body) as (url, _):
        assert main(["budget", "explain", "mony", "--gateway", url]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gateway", "ftp://x"], "--gateway"),
        (["--gateway", "http://127.0.0.1:1"], "http://127.0.0.1:1"),
        (["--gateway-key", "env:TIERGATE_NO_SUCH_KEY"], "TIERGATE_NO_SUCH_KEY"),
    ],
)
def test_who_cannot_be_asked_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["usage", *words]) == 1
    assert said in capsys.readouterr().err
