"""``tiergate-gateway keys`` and ``audit``."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from gateway.cli import main

KEY = {"id": "key_1", "name": "ci", "team": "", "tiers": None, "created_by": "admin", "revoked_unix": None}


class Admin(http.server.BaseHTTPRequestHandler):
    """Notes what it is asked, and answers as a gateway may."""

    asked: ClassVar[list[tuple[str, str, str, str]]]
    status = 200
    answer: object = KEY

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.asked.append((self.command, self.path, str(self.headers["authorization"]), body))
        told = json.dumps(self.answer).encode()
        self.send_response(self.status)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Admin], str]]:
    monkeypatch.setenv("TIERGATE_ADMIN_KEY", "sk-admin")

    class Own(Admin):
        asked: ClassVar[list[tuple[str, str, str, str]]] = []

    with http.server.HTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Own, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("words", "method", "path"),
    [
        (["create", "ci"], "POST", "/tiergate/v1/keys"),
        (["show", "key_1"], "GET", "/tiergate/v1/keys/key_1"),
        (["rotate", "key_1", "--grace-seconds", "5"], "POST", "/tiergate/v1/keys/key_1/rotate?grace_seconds=5.0"),
        (["revoke", "a/b"], "DELETE", "/tiergate/v1/keys/a%2Fb"),
    ],
)
def test_each_action_is_one_question(
    admin: tuple[type[Admin], str], words: list[str], method: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server, url = admin
    assert main(["keys", *words, "--url", url]) == 0
    assert server.asked[0][:3] == (method, path, "Bearer sk-admin")
    assert json.loads(capsys.readouterr().out) == KEY


def test_keys_are_listed_as_a_table(admin: tuple[type[Admin], str], capsys: pytest.CaptureFixture[str]) -> None:
    server, url = admin
    server.answer = {"data": [KEY, KEY | {"revoked_unix": 1.0, "tiers": ["a", "b"]}]}
    assert main(["keys", "list", "--url", url]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][3:6] == ["in", "use", "all"]
    assert lines[2][3:5] == ["revoked", "a,b"]


def test_a_broken_audit_log_is_an_exit_status(admin: tuple[type[Admin], str]) -> None:
    server, url = admin
    server.answer = {"data": [{"number": 1}], "missing_before": []}
    assert main(["audit", "--url", url]) == 0
    server.answer = {"data": [], "missing_before": [3]}
    assert main(["audit", "--url", url]) == 3


def test_what_goes_wrong_is_said_without_the_key(
    admin: tuple[type[Admin], str], capsys: pytest.CaptureFixture[str]
) -> None:
    server, url = admin
    server.status, server.answer = 404, {"error": {"message": "There is none."}}
    assert main(["keys", "show", "x", "--url", url]) == 1
    assert main(["keys", "show", "x", "--url", "ftp://x"]) == 1
    assert main(["keys", "create", "x", "--budget", "{", "--url", url]) == 1
    assert main(["keys", "list", "--url", "http://127.0.0.1:1"]) == 1
    shown = capsys.readouterr().err
    assert "There is none." in shown
    assert "sk-admin" not in shown
