"""A server that speaks OpenAI chat completions on 127.0.0.1, records what it is asked, and answers as it is told."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self

USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it arrived; header names are lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def model(self) -> str:
        """The tier's name, on the wire."""
        return str(self.body["model"])

    @property
    def prompt(self) -> str:
        """All messages' texts, joined."""
        return "\n".join(str(message.get("content")) for message in self.body["messages"])

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema that the answer must have, where one was sent."""
        form = self.body.get("response_format")
        return None if form is None else form["json_schema"]["schema"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is an OpenAI error."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = str | Refusal
Script = Callable[[Asked], Answer]


def say(text: str) -> Script:
    """Always the same answer."""
    return lambda _asked: text


def woken(asked: Asked) -> tuple[int, Any]:
    """Each tier was woken for this."""
    return 202, {"object": "list", "data": [{"name": name, "state": "woken"} for name in asked.body["tiers"]]}


class ChatServer:
    """Serves from ``with`` to its end. Set ``script``: it turns a request into its answer, and may block.

    ``wake`` turns an announcement of tiers into its status and body.
    """

    def __init__(self) -> None:
        self.script: Script = say("Fine.")
        self.models_status = 200
        self.models: dict[str, Any] = {"object": "list", "data": []}
        self.wake: Callable[[Asked], tuple[int, Any]] = woken
        self._asked: list[Asked] = []
        self._announced: list[Asked] = []
        self._lock = Lock()
        self._server = _PatientServer(("127.0.0.1", 0), _handler(self))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """The base URL for OpenAI clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def asked(self) -> list[Asked]:
        """Every request so far, in order of arrival."""
        with self._lock:
            return list(self._asked)

    @property
    def announced(self) -> list[tuple[str, tuple[str, ...]]]:
        """Every announcement so far: the run and its tiers."""
        with self._lock:
            return [(each.body["run"], tuple(each.body["tiers"])) for each in self._announced]

    def forget(self) -> None:
        """Forget what was asked so far."""
        with self._lock:
            self._asked.clear()

    def take(self, asked: Asked) -> Answer:
        """Record a request and decide its answer."""
        with self._lock:
            self._asked.append(asked)
        return self.script(asked)

    def hear(self, asked: Asked) -> tuple[int, Any]:
        """Record an announcement of tiers and decide its answer."""
        with self._lock:
            self._announced.append(asked)
        return self.wake(asked)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _PatientServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that left in the middle is part of some tests; it needs no traceback."""


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            self._send(
                server.models_status if self.path == "/v1/models" else 404,
                "application/json",
                [json.dumps(server.models).encode()],
            )

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(path=self.path, headers=headers, body=body)
            if self.path == "/tiergate/v1/wake":
                status, told = server.hear(asked)
                self._send(status, "application/json", [json.dumps(told).encode()])
                return
            answer = server.take(asked)
            if isinstance(answer, Refusal):
                self._send(answer.status, "application/json", [_error(answer)], answer.headers)
            elif body.get("stream"):
                self._send(200, "text/event-stream", _events(asked.model, answer))
            else:
                self._send(200, "application/json", [_completion(asked.model, answer)])

        def _send(
            self,
            status: int,
            content_type: str,
            pieces: list[bytes] | Iterator[bytes],
            headers: Mapping[str, str] | None = None,
        ) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("transfer-encoding", "chunked")
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            for piece in pieces:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    return Handler


def _error(refusal: Refusal) -> bytes:
    error = {"message": refusal.message, "type": "error", "param": None, "code": refusal.code}
    return json.dumps({"error": error}).encode()


def _completion(model: str, text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": model,
        "choices": [choice], "usage": USAGE,
    }).encode()  # fmt: skip


def _events(model: str, text: str) -> Iterator[bytes]:
    """As a gateway streams: the role, the text in small pieces, the reason for the end, then usage by itself."""
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[at : at + 4]} for at in range(0, len(text), 4)]
    for delta in deltas:
        yield _event(model, choices=[{"index": 0, "delta": delta, "finish_reason": None}])
    yield _event(model, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    yield _event(model, choices=[], usage=USAGE)
    yield b"data: [DONE]\n\n"


def _event(model: str, **fields: object) -> bytes:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": model, **fields}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
