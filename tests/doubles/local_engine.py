"""A stand-in for the program behind a local tier: listens, says that it is loaded, answers nothing else.

Run as a process with ``deploy.local.engine``'s options. The environment may hold ``DOUBLE_PIDS`` (a folder in which it
leaves a file named by its process id) and ``DOUBLE_ENGINE``: ``die`` (the one for ``routing`` ends at once), ``load``
(never gets ready), ``slow`` (takes a second to end), ``stubborn`` (ignores SIGTERM).
"""

import argparse
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        loading = os.environ.get("DOUBLE_ENGINE") == "load"
        body = b'{"status": "loading model"}' if loading else b'{"status": "ok"}'
        self.send_response(503 if loading else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _end_slowly(_number: int, _frame: object) -> None:
    time.sleep(1)
    sys.exit(0)


def main() -> int:
    parser = argparse.ArgumentParser()
    for option in ("--model", "--port", "--slots", "--context", "--api-key"):
        parser.add_argument(option)
    arguments = parser.parse_args()
    if folder := os.environ.get("DOUBLE_PIDS"):
        (Path(folder) / str(os.getpid())).touch()
    behaviour = os.environ.get("DOUBLE_ENGINE", "")
    if behaviour == "die" and "routing" in arguments.model:
        sys.stderr.write(f"reading {arguments.model}\nthe model file is broken\n")
        return 3
    if behaviour == "slow":
        signal.signal(signal.SIGTERM, _end_slowly)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ThreadingHTTPServer(("127.0.0.1", int(arguments.port)), _Handler).serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
