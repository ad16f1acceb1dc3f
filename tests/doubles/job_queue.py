"""The side of a Runpod queue that its workers see, on 127.0.0.1: jobs are taken, told of, and done."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from threading import Thread
from typing import Any

TAKE_SECONDS = 0.2
"""How long a worker that asks for jobs waits for one; at Runpod it is longer."""


class JobQueue:
    """Jobs wait in it until a worker takes them.

    Attributes:
        done: What workers sent at the end of jobs, as (job's id, body).
        progress: What they sent meanwhile, likewise.
    """

    def __init__(self, origin: str) -> None:
        self.done: Queue[tuple[str, dict[str, Any]]] = Queue()
        self.progress: list[tuple[str, dict[str, Any]]] = []
        self.waiting: Queue[dict[str, Any]] = Queue()
        self._origin = origin

    def add(self, job: str, **asked: Any) -> None:  # noqa: ANN401 - a job's input
        """One more job."""
        self.waiting.put({"id": job, "input": asked})

    @property
    def environment(self) -> dict[str, str]:
        """What Runpod tells its workers."""
        return {
            "RUNPOD_POD_ID": "worker-1",
            "RUNPOD_AI_API_KEY": "rpa_worker",
            "RUNPOD_WEBHOOK_GET_JOB": f"{self._origin}/job-take/$ID?gpu=cpu",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{self._origin}/job-done/$RUNPOD_POD_ID/$ID?gpu=cpu",
            "RUNPOD_WEBHOOK_PING": f"{self._origin}/ping/$RUNPOD_POD_ID",
        }


@contextmanager
def job_queue() -> Iterator[JobQueue]:
    """A queue that is served as long as the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith("/job-take"):
                self._answer(200, {})
                return
            try:
                job = queue.waiting.get(timeout=TAKE_SECONDS)
            except Empty:
                self._answer(204, None)
                return
            self._answer(200, [job] if "/job-take-batch/" in self.path else job)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told = (self.path.partition("?")[0].rpartition("/")[2], body)
            if body.get("status") == "IN_PROGRESS":
                queue.progress.append(told)
            else:
                queue.done.put(told)
            self._answer(200, {})

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, status: int, body: object) -> None:
            text = b"" if body is None else json.dumps(body).encode()
            # A worker that ends does not wait for its answer.
            with suppress(BrokenPipeError):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    queue = JobQueue(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield queue
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
