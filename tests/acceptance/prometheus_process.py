"""A real Prometheus with Tiergate's rules, which scrapes a gateway every half second."""

import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import yaml

from tests.acceptance.gateway_process import free_port

PROMETHEUS = shutil.which("prometheus")
START_SECONDS = 30.0
STOP_SECONDS = 20.0
_LOG_TAIL = 4000
_SLOW_SECONDS = 60
_SCRAPE = "500ms"


class PrometheusProcess:
    """Runs from entry to exit; ``rules`` is a rule file, ``port`` the gateway's."""

    def __init__(self, folder: Path, *, rules: Path, port: int) -> None:
        self._folder = folder
        self._port = free_port()
        self._log = folder / "prometheus.log"
        self._process: subprocess.Popen[bytes] | None = None
        told = {
            "global": {"scrape_interval": _SCRAPE, "evaluation_interval": _SCRAPE},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")

    def __enter__(self) -> Self:
        assert PROMETHEUS is not None
        words = [PROMETHEUS, f"--config.file={self._folder / 'prometheus.yaml'}"]
        words += [f"--storage.tsdb.path={self._folder / 'data'}", f"--web.listen-address=127.0.0.1:{self._port}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        self.wait_until(self._ready, seconds=START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(STOP_SECONDS)

    def ask(self, query: str) -> Sequence[Mapping[str, Any]]:
        """What an expression has as its result now."""
        found: Sequence[Mapping[str, Any]] = self._get(f"/api/v1/query?query={quote(query)}")["result"]
        return found

    def rules(self) -> Sequence[Mapping[str, Any]]:
        """Every rule as it was worked out last, without those of which it takes longer than a test."""
        groups = self._get("/api/v1/rules")["groups"]
        return [rule for group in groups if group["interval"] < _SLOW_SECONDS for rule in group["rules"]]

    def alerts(self, name: str) -> Sequence[Mapping[str, Any]]:
        """What an alert has now, also where it does not last for long enough yet to be told."""
        return [each for each in self._get("/api/v1/alerts")["alerts"] if each["labels"]["alertname"] == name]

    def wait_until(self, condition: Callable[[], bool], *, seconds: float = 15.0) -> None:
        """Poll ``condition`` until it holds; fails with the end of its log where it does not."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self._log.read_text(encoding="utf-8")[-_LOG_TAIL:])
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return self._answer("/-/ready")[0] == http.client.OK
        except OSError:
            return False

    def _get(self, path: str) -> Any:  # noqa: ANN401 -- JSON
        status, body = self._answer(path)
        assert status == http.client.OK, body
        return json.loads(body)["data"]

    def _answer(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10.0)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
