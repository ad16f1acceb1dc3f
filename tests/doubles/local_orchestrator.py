"""A stand-in for ``tiergate-orchestrator serve``: its "Flow" is two calls to the gateway, one per agent.

Run as a process. The Flow's class says how it goes: ``Fails`` (500 with a cause), ``Silent`` (calls nobody), ``Mute``
(answers no result), ``Hangs`` (never ends), ``Busy`` (503 once), ``Dies`` (ends before it serves), ``Breaks`` (ends
while it runs); any other one works. ``DOUBLE_PIDS`` as in the other doubles.
"""

import argparse
import json
import os
import signal
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_seen: list[str] = []


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def _call(run: str, agent: str) -> None:
    request = urllib.request.Request(
        f"{os.environ['TIERGATE_URL']}/chat/completions",
        data=b"{}",
        headers={
            "authorization": f"Bearer {os.environ['TIERGATE_KEY']}",
            "x-tiergate-run": run,
            "x-tiergate-agent": agent,
        },
    )
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        kind, run = self.path.rpartition("/")[2], body["run"]
        _seen.append(run)
        if kind == "Busy" and len(_seen) == 1:
            self._answer(503, {"error": {"message": "this worker is ending"}})
            return
        if kind != "Silent":
            for agent in ("triage", "billing"):
                _say(f"run {run}: step classify: agent {agent}")
                _call(run, agent)
        if kind == "Hangs":
            signal.sigwait({signal.SIGUSR1})
        if kind == "Breaks":
            _say("out of memory")
            os._exit(5)
        result = {"run": run, "flow": kind, "status": "ok", "seconds": 3.25, "output": "The customer gets a refund."}
        if kind == "Fails":
            result |= {"status": "failed", "output": None, "error": "the budget routing-hourly is spent"}
        self._answer(500 if kind == "Fails" else 200, [] if kind == "Mute" else result)

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Only the Flow's own lines go into the log."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("flow")
    for option in ("--gateway", "--port"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args()
    if folder := os.environ.get("DOUBLE_PIDS"):
        (Path(folder) / str(os.getpid())).touch()
    hidden = {"TIERGATE_DEMO_KEY", "RUNPOD_API_KEY"} & set(os.environ)
    if os.environ["TIERGATE_URL"] != arguments.gateway or hidden:
        _say("the environment is wrong")
        return 2
    if arguments.flow.endswith(":Dies"):
        _say("there is no such Flow")
        return 2
    ThreadingHTTPServer(("127.0.0.1", int(arguments.port)), _Handler).serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
