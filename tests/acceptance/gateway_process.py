"""The gateway as operators run it: a process with a tier map, a port and a directory for its store."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 20.0
_LOG_TAIL_BYTES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One whole HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 -- JSON is whatever the sender wrote
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code of OpenAI's envelope; fails where the body is not one."""
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return str(error["code"])


class GatewayProcess:
    """Starts on entry and answers ``waits_for`` with 200 then; on exit it must end by SIGTERM with exit status 0.

    ``tier_map`` is written as JSON, which is YAML. ``environment`` is added to this process's own.
    """

    def __init__(
        self,
        directory: Path,
        tier_map: Mapping[str, Any],
        *,
        key: str,
        python: str,
        environment: Mapping[str, str] | None = None,
        waits_for: str = "/readyz",
    ) -> None:
        self.key = key
        self._waits_for = waits_for
        self.port = free_port()
        self.log_path = directory / "gateway.log"
        self._map_path = directory / "tiers.yaml"
        self._map_path.write_text(json.dumps(tier_map, indent=2))
        self._arguments = [python, "-m", "gateway", "serve", "--tiers", str(self._map_path)]
        self._arguments += ["--host", "127.0.0.1", "--port", str(self.port)]
        self._arguments += ["--state-directory", str(directory / "state")]
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Base URL for OpenAI clients, ending in ``/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    def rewrite(self, text: str) -> None:
        """Replace the tier map's file, as a careful editor does."""
        passing = self._map_path.with_suffix(".new")
        passing.write_text(text)
        passing.replace(self._map_path)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of that name."""
        whole, _, _ = self.log_path.read_bytes().rpartition(b"\n")  # the last line may be on its way
        lines = whole.splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]

    @property
    def pid(self) -> int:
        """The gateway's process id."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(self._arguments, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        try:
            self.wait_until(lambda: self.says_yes(self._waits_for), seconds=START_SECONDS)
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return  # it was killed
        children = children_of(self.pid)
        self._process.terminate()
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            text = f"the gateway did not end within {STOP_SECONDS} s of SIGTERM:\n{self.log()}"
            raise AssertionError(text) from None
        assert status == 0, f"exit status {status}:\n{self.log()}"
        left = [pid for pid in children if alive(pid)]
        assert not left, f"the gateway left processes behind: {left}"

    def log(self) -> str:
        """The end of what the gateway wrote so far."""
        return self.log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    def ready(self) -> bool:
        """Whether ``/readyz`` says so."""
        return self.says_yes("/readyz")

    def says_yes(self, path: str) -> bool:
        """Whether ``path`` is answered with 200; fails where the gateway has ended."""
        assert self._process is not None
        assert self._process.poll() is None, f"the gateway ended:\n{self.log()}"
        try:
            return self.call("GET", path, key=None).status == http.client.OK
        except OSError:
            return False

    def wait_until(self, condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
        """Poll ``condition`` until it holds.

        Raises:
            TimeoutError: It does not hold after ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                text = f"not so after {seconds} s; the gateway's log:\n{self.log()}"
                raise TimeoutError(text)
            time.sleep(0.02)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "",
        headers: Mapping[str, str] | None = None,
        seconds: float = 30.0,
    ) -> Answer:
        """One request on a connection of its own; ``body`` is bytes or a value to send as JSON.

        ``key`` is the bearer key: by default the process's own, ``None`` sends none.
        """
        with self.connection(seconds=seconds) as connection:
            sent = {"content-type": "application/json"} if body is not None else {}
            if key is not None:
                sent["authorization"] = f"Bearer {key or self.key}"
            raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, raw, {**sent, **(headers or {})})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=names, body=response.read())

    @contextlib.contextmanager
    def connection(self, *, seconds: float = 30.0) -> Iterator[http.client.HTTPConnection]:
        """A plain connection to the gateway."""
        opened = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            yield opened
        finally:
            opened.close()

    def records(self, *, run: str) -> list[dict[str, Any]]:
        """What the gateway recorded of one run's requests."""
        answer = self.call("GET", f"/tiergate/v1/requests?run={run}&limit=100")
        assert answer.status == http.client.OK, answer
        data: list[dict[str, Any]] = answer.json()["data"]
        return data

    def record(self, *, run: str) -> dict[str, Any]:
        """The only request of a run, as soon as it is recorded: an answer's last byte may come before."""
        self.wait_until(lambda: bool(self.records(run=run)))
        (record,) = self.records(run=run)
        return record

    def budget(self, name: str, *, owner: str | None = None) -> dict[str, Any]:
        """One budget's balance, of its only owner or of the one named."""
        answer = self.call("GET", "/tiergate/v1/budgets")
        assert answer.status == http.client.OK, answer
        found = [
            balance
            for balance in answer.json()["data"]
            if balance["budget"] == name and owner in {None, balance["owner"]}
        ]
        assert len(found) == 1, answer.json()
        balance: dict[str, Any] = found[0]
        return balance

    def nothing_held(self, name: str, *, owner: str | None = None, seconds: float = 5.0) -> dict[str, Any]:
        """The budget's balance once nothing of it is held back any more."""
        self.wait_until(lambda: self.budget(name, owner=owner)["held"] == 0, seconds=seconds)
        return self.budget(name, owner=owner)

    def kill(self) -> None:
        """End it by SIGKILL, with all that it started; entering it again starts another one in its place."""
        assert self._process is not None
        for pid in [*children_of(self.pid), self.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def children_of(pid: int) -> list[int]:
    """Process ids of all descendants, by ``/proc``."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The command in parentheses may hold anything, so the fields are counted from its end.
            fields = entry.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_of(pid: int) -> str:
    """The process's command line, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
