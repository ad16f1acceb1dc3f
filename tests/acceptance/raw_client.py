"""Clients that speak to the gateway in bytes: one that sends whatever it is told, and a good one that never stops."""

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
BOUND_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What came on a connection until it closed; ``closed`` is false where it was still open at the bound."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """Of every answer; the gateway's own bodies hold no status lines."""
        return [int(status) for status in _STATUS.findall(self.data)]

    @property
    def code(self) -> str:
        """The last answer's error code; fails where its body is not in OpenAI's form."""
        error = json.loads(self.data[self.data.rindex(b"\r\n\r\n") + 4 :])["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return str(error["code"])


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A raw connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND_SECONDS) as near:
        yield near


def heard(near: socket.socket, seconds: float = BOUND_SECONDS) -> Heard:
    """Everything up to the connection's end."""
    near.settimeout(seconds)
    data = b""
    try:
        while piece := near.recv(65_536):
            data += piece
    except TimeoutError:
        return Heard(data, closed=False)
    except ConnectionResetError:
        pass
    return Heard(data, closed=True)


def say(port: int, *pieces: bytes, seconds: float = BOUND_SECONDS) -> Heard:
    """Send ``pieces``, as far as they are taken, and hear what is said to them."""
    with connected(port) as near:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                near.sendall(piece)
        return heard(near, seconds)


@dataclass
class SteadyClient:
    """Asks again and again on one connection, and notes each answer that is not 200 and each connection lost."""

    port: int
    key: str
    body: bytes
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def asking(self) -> Iterator["SteadyClient"]:
        """Ask in a thread of its own."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            thread.join(BOUND_SECONDS)
            assert not thread.is_alive()

    def goes_on(self, answers: int = 3) -> None:
        """Wait until so many more answers came; none may ever have failed."""
        wanted = self.answers + answers
        deadline = time.monotonic() + BOUND_SECONDS
        while self.answers < wanted and not self.failures:
            assert time.monotonic() < deadline, "the good client got no answers"
            time.sleep(0.005)
        assert self.failures == []

    def _run(self) -> None:
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=BOUND_SECONDS)
        try:
            while not self._stopped.wait(0.005):
                connection.request("POST", "/v1/chat/completions", self.body, headers)
                near = connection.sock
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != http.client.OK or connection.sock is not near:
                    self.failures.append(f"{answer.status} {text!r}")
                self.answers += 1
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
        finally:
            connection.close()
