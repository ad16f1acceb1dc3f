"""Runpod, emulated, as operators run it: a process of its own, with endpoints that tests make and spoil."""

import http.client
import json
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from tests.acceptance.gateway_process import ROOT

KEY = "rpa_emulator"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
BOUND_SECONDS = 10.0
MODEL = "router"
"""The one name under which every worker serves."""
TOOLS = {"ENABLE_AUTO_TOOL_CHOICE": "true", "TOOL_CALL_PARSER": "hermes"}
CONTEXT = 4096
STAYS = {"min": 0, "max": 3, "idleTimeout": 3600}
"""A worker that has come stays for longer than any test takes."""
_OPEN = {"IN_QUEUE", "IN_PROGRESS"}
Type = Literal["QUEUE", "LOAD_BALANCER"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of a queue endpoint, as ``/requests`` tells it."""

    id: str
    status: str

    @property
    def open(self) -> bool:
        """Whether it still waits or works, and so may cost money."""
        return self.status in _OPEN


class EmulatorProcess:
    """Serves from entry to exit; on exit it must end by SIGTERM with exit status 0.

    ``speed`` is how many seconds pass there in each real one, ``run`` an image and its workers' command.
    """

    def __init__(self, directory: Path, *, python: str, speed: float, seed: int = 7, run: str = "") -> None:
        self.speed = speed
        self.origin = ""
        self._arguments = [python, "-m", "deploy", "emulate", "--port", "0"]
        self._arguments += ["--speed", str(speed), "--seed", str(seed), "--state-directory", str(directory)]
        self._arguments += ["--run", run] if run else []
        self._said = directory / "emulator.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._said.open("ab") as log:
            self._process = subprocess.Popen(self._arguments, cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/v2/serverless", self._said.read_text())):
            if time.monotonic() > deadline or self._process.poll() is not None:
                self._end()
                text = f"the emulator did not start: {self._said.read_text()}"
                raise AssertionError(text)
            time.sleep(0.02)
        self.origin = found[1]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._end() == 0, self._said.read_text()

    def _end(self) -> int:
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 -- JSON is whatever was sent
        """One request of whoever owns the account; fails where it is refused."""
        status, text = self._answer(method, path, body)
        assert status < http.client.BAD_REQUEST, f"{method} {path}: {status} {text!r}"
        return json.loads(text)

    def _call_in_turn(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 -- as above
        """The same to the control plane, which takes 60 calls in a minute of its own."""
        while True:
            status, text = self._answer(method, path, body)
            if status != http.client.TOO_MANY_REQUESTS:
                assert status < http.client.BAD_REQUEST, f"{method} {path}: {status} {text!r}"
                return json.loads(text)
            time.sleep(1.0 / self.speed)

    def _answer(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        host, port = self.origin.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=BOUND_SECONDS)
        try:
            headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def endpoint(self, name: str, kind: Type, **changes: object) -> "EmulatedEndpoint":
        """Make an endpoint, its workers cold; ``changes`` are fields of the create call, ``env`` is added to."""
        env = {"OPENAI_SERVED_MODEL_NAME_OVERRIDE": MODEL, "MODEL_NAME": MODEL, "MAX_MODEL_LEN": str(CONTEXT), **TOOLS}
        body: dict[str, Any] = {
            "name": name,
            "type": kind,
            "image": "runpod/worker-v1-vllm:v2.25.2",
            "gpu": {"pools": ["ADA_24"]},
            "workers": STAYS,
            "scaling": {"type": "QUEUE_DELAY", "queueDelay": 1},
        }
        if kind == "LOAD_BALANCER":
            env |= {"PORT": "8000", "PORT_HEALTH": "8000"}
            body |= {"scaling": {"type": "REQUEST_COUNT", "requestCount": 30}, "ports": ["8000/http"]}
        added: Any = changes.pop("env", {})
        made = self._call_in_turn("POST", "/v2/serverless", {**body, **changes, "env": {**env, **added}})
        return EmulatedEndpoint(self, made["id"], kind)

    def workers_max(self, endpoint: "EmulatedEndpoint", most: int) -> None:
        """Let an endpoint have so many workers."""
        path = f"/v2/serverless/{endpoint.id}"
        self._call_in_turn("PATCH", path, {"workers": {**STAYS, "max": most}})

    def quota(self, workers: int) -> None:
        """Let the account have so many workers in all, and pay for them."""
        rich = {"quotaWorkers": workers, "balanceUsd": 1e6, "spendLimitUsdPerHour": 1e6}
        self.call("PATCH", "/emulator/accounts/user_emulator", rich)


class EmulatedEndpoint:
    """One endpoint of the emulator."""

    def __init__(self, emulator: EmulatorProcess, endpoint_id: str, kind: Type) -> None:
        self.id = endpoint_id
        self.kind = kind
        self._emulator = emulator

    @property
    def url(self) -> str:
        """What operators write into a tier map, with its type as the transport."""
        if self.kind == "QUEUE":
            return f"{self._emulator.origin}/v2/{self.id}"
        return f"{self._emulator.origin}/lb/{self.id}/v1"

    @property
    def openai_url(self) -> str:
        """Where any OpenAI client finds it."""
        return f"{self.url}/openai/v1" if self.kind == "QUEUE" else self.url

    def spoil(self, **faults: object) -> None:
        """Switch faults on."""
        self._emulator.call("PATCH", f"/emulator/endpoints/{self.id}/faults", faults)

    def mend(self) -> None:
        """Switch every fault off; starts take no time then."""
        self._emulator.call("DELETE", f"/emulator/endpoints/{self.id}/faults")
        self.spoil(pullSeconds=0, loadSeconds=0)

    def answer_again(self) -> None:
        """Switch off what strikes requests to it; its workers and jobs are spoiled as before."""
        self.spoil(status=None, reset=False, silence=False)

    def job_counts(self) -> Mapping[str, int]:
        """How many of its jobs ever ended in which way, and how many are open."""
        told: Mapping[str, int] = self._emulator.call("GET", f"/v2/{self.id}/health")["jobs"]
        return told

    def workers(self) -> list[Mapping[str, Any]]:
        """Its workers, without those that have stopped."""
        state = self._emulator.call("GET", "/emulator/state")
        [told] = [each for each in state["endpoints"] if each["id"] == self.id]
        workers: list[Mapping[str, Any]] = told["workers"]
        return workers

    def jobs(self) -> list[Job]:
        """Every job that is still kept."""
        told = self._emulator.call("GET", f"/v2/{self.id}/requests")
        return [Job(id=each["id"], status=each["status"]) for each in told["requests"]]

    def warm(self) -> None:
        """Have a worker that serves; it starts at once, and whatever else starts later does, too."""
        self.mend()
        if self.kind == "QUEUE":
            self._emulator.call("POST", f"/v2/{self.id}/openai/v1/chat/completions", _HELLO)
        else:
            self._emulator.call("POST", f"/lb/{self.id}/v1/chat/completions", _HELLO)
        assert any(worker["serving"] for worker in self.workers())

    def settled(self) -> None:
        """Wait until no job of it is open; fails where one stays."""
        deadline = time.monotonic() + BOUND_SECONDS
        while left := [job for job in self.jobs() if job.open]:
            assert time.monotonic() < deadline, f"jobs were left behind: {left}"
            time.sleep(0.02)


_HELLO = {"model": MODEL, "messages": [{"role": "user", "content": "warm up"}], "max_tokens": 1}
