"""A stand-in for ``tiergate-orchestrator serve`` on Runpod: starts a run at once and ends it at the first look.

Run as a process, with the port to listen on.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/ping":
            self._answer(200, {"flows": ["Triage"], "runs": 0})
        else:
            self._answer(200, {"run": "r1", "status": "succeeded", "steps": 3, "output": "the tide is high"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = self.path == "/flows/Triage/runs" and body == {"inputs": {"topic": "tides"}}
        refusal = {"error": {"code": "flow_unknown", "remedy": "see GET /flows"}}
        self._answer(202 if known else 404, {"run": "r1", "status": "queued"} if known else refusal)

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
