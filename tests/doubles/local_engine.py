"""A stand-in for the program behind a tier's worker: says that it is loaded, and the same to every question.

Run as a process with ``deploy.local.engine``'s options. The environment may hold ``DOUBLE_PIDS``, a folder in which it
leaves a file named by its process id, and ``DOUBLE_ENGINE``: ``broken`` answers questions with 500.
"""

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200, b'{"status": "ok"}')

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if os.environ.get("DOUBLE_ENGINE") == "broken":
            self._answer(500, b'{"error": {"message": "out of memory"}}')
            return
        said = {"role": "assistant", "content": '{"capital": "Paris"}'}
        told = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        part = {"index": 0, "finish_reason": "stop"}
        if asked.get("stream"):
            chunk = {**told, "object": "chat.completion.chunk"}
            events = [{**chunk, "choices": [{**part, "delta": said}]}, {**chunk, "choices": [], "usage": USAGE}]
            lines = [*map(json.dumps, events), "[DONE]"]
            self._answer(200, "".join(f"data: {each}\n\n" for each in lines).encode(), "text/event-stream")
        else:
            whole = {**told, "object": "chat.completion", "choices": [{**part, "message": said}], "usage": USAGE}
            self._answer(200, json.dumps(whole).encode())

    def _answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
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
