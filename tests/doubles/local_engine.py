"""A stand-in for the program behind a tier's worker: listens, says that it is loaded, answers nothing else.

Run as a process with ``deploy.local.engine``'s options. The environment may hold ``DOUBLE_PIDS``, a folder in which it
leaves a file named by its process id.
"""

import argparse
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"status": "ok"}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> int:
    parser = argparse.ArgumentParser()
    for option in ("--model", "--port", "--slots", "--context", "--api-key"):
        parser.add_argument(option)
    arguments = parser.parse_args()
    if folder := os.environ.get("DOUBLE_PIDS"):
        (Path(folder) / str(os.getpid())).touch()
    ThreadingHTTPServer(("127.0.0.1", int(arguments.port)), _Handler).serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
