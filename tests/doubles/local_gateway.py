"""A stand-in for ``tiergate-gateway serve``: takes calls, keeps a record of each and hands the records out.

Run as a process. Requires the bearer key in ``TIERGATE_DEMO_KEY``. The environment may hold ``DOUBLE_PIDS`` (a folder
in which it and the child that it leaves behind write files named by their process ids) and ``DOUBLE_GATEWAY``:

- ``die``: ends at once; ``unready``: ``/readyz`` answers 503;
- ``die-on-call``: the first call ends the process; ``die-on-report``: reading its records does;
- ``die-after-report``: it ends when its records have been read;
- ``fail``: every call has the outcome ``upstream_error``; ``hold``: budgets keep a held amount;
- ``refuse``: nobody may read the records.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_CALLS: list[dict[str, Any]] = []


def _behaviour() -> str:
    return os.environ.get("DOUBLE_GATEWAY", "")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/readyz":
            self._answer(503 if _behaviour() == "unready" else 200, {"store": "not reachable"})
        elif self.headers["authorization"] != f"Bearer {os.environ['TIERGATE_DEMO_KEY']}":
            self._answer(401, {"error": "wrong key"})
        elif _behaviour() == "refuse":
            self._answer(500, {"error": "no records today"})
        elif url.path == "/tiergate/v1/requests":
            if _behaviour() == "die-on-report":
                _die("the disk is full", 8)
            run = parse_qs(url.query)["run"][0]
            self._answer(200, {"object": "list", "data": [call for call in _CALLS if call["run"] == run]})
            if _behaviour() == "die-after-report":
                threading.Timer(0.2, _die, ("the store is gone", 9)).start()
        else:
            runs = sorted({"run-of-yesterday", *(call["run"] for call in _CALLS)})
            balances = [_balance("routing-hourly", "routing"), *(_balance("per-run", run) for run in runs)]
            self._answer(200, {"object": "list", "data": balances})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if _behaviour() == "die-on-call":
            _die("out of memory", 7)
        if run := self.headers["x-tiergate-run"]:
            _CALLS.append(_record(run, self.headers["x-tiergate-agent"]))
        self._answer(200, {"choices": [{"message": {"role": "assistant", "content": "Paris."}}]})

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _record(run: str, agent: str) -> dict[str, Any]:
    failed = _behaviour() == "fail"
    return {
        "request_id": f"req-{len(_CALLS)}",
        "run": run,
        "agent": agent,
        "step": "classify",
        "tier": "routing",
        "endpoint": "routing/0",
        "reason": "tier",
        "outcome": "upstream_error" if failed else "ok",
        "error": "upstream_failed" if failed else "",
        "queue_delay_seconds": 0.0,
        "time_to_first_token_seconds": None if failed else 0.25,
        "duration_seconds": 1.5,
        "input_tokens": 120,
        "output_tokens": 30,
        "cost_microdollars": 466,
        "gpu_seconds": 1.5,
        "runpod": {"held_seconds": 0.0, "way": "job", "cold": True, "worker_delay_seconds": 4.5, "job": "j-1"},
    }


def _balance(budget: str, owner: str) -> dict[str, Any]:
    settled = sum(call["cost_microdollars"] for call in _CALLS)
    held = 1000 if _behaviour() == "hold" and _CALLS else 0
    return {
        "budget": budget,
        "owner": owner,
        "unit": "USD",
        "limit": 5_000_000,
        "settled": settled,
        "held": held,
        "available": 5_000_000 - settled - held,
        "window_ends_in_seconds": 1800.0,
    }


def _die(words: str, status: int) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
    os._exit(status)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    for option in ("--tiers", "--host", "--port", "--state-directory", "--drain-seconds"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args()
    if _behaviour() == "die":
        sys.stderr.write("cannot open the store\n")
        return 4
    if folder := os.environ.get("DOUBLE_PIDS"):
        left_behind = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        for pid in (os.getpid(), left_behind.pid):
            (Path(folder) / str(pid)).touch()
    ThreadingHTTPServer((arguments.host, int(arguments.port)), _Handler).serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
