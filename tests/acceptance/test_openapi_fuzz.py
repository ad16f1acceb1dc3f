"""What our own OpenAPI document allows, and what it forbids, asked by schemathesis: nothing of it is a 5xx.

The endpoint behind is well, so that whatever goes wrong would be the gateway's.
"""

import contextlib
import json
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it imports is not ours to mend
    import schemathesis

pytestmark = pytest.mark.acceptance

EXAMPLES = 5
"""Of each operation and kind."""
REFUSED = 400
FAILED = 500
SECONDS = 10.0
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


class PedanticUpstream(BaseHTTPRequestHandler):
    """An endpoint that is always well: a whole chat gets its answer, all else, however odd, a 400."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """It serves its model."""
        self._answer(200, {"object": "list", "data": [{"id": ROUTING_MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        """It answers a chat."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/chat/completions" and not asked.get("stream") and asked.get("messages"):
            message = {"role": "assistant", "content": "Hi"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            self._answer(200, {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})
        else:
            self._answer(400, {"error": {"message": "No.", "type": "BadRequestError", "param": None, "code": 400}})

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def pedantic_upstream() -> Iterator[str]:
    """Its base URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), PedanticUpstream) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[GatewayProcess]:
    with pedantic_upstream() as url:
        tiers = {"quick": tier(url, ROUTING_MODEL)}
        with GatewayProcess(
            tmp_path_factory.mktemp("openapi"),
            tier_map(tiers, routes=[{"name": "default", "tier": "quick"}]),
            key=KEY,
            python=gateway_python,
            environment=ENVIRONMENT,
        ) as running:
            yield running


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_no_request_of_the_document_is_a_5xx(gateway: GatewayProcess, mode: schemathesis.GenerationMode) -> None:
    """Every operation, with a good key; bodies with a served model, too, or most would end at its name."""
    base = gateway.url.removesuffix("/v1")
    document = schemathesis.openapi.from_url(f"{base}/openapi.json")
    operations: list[Any] = [found.ok() for found in document.get_all_operations()]  # type: ignore[union-attr]
    asked: dict[str, int] = {}

    def try_out(operation: Any) -> None:  # noqa: ANN401 - generic in four types that do not matter here
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), served=st.booleans())
        def ask(case: Any, served: bool) -> None:  # noqa: ANN401 - as above
            if served and isinstance(case.body, dict):
                case.body["model"] = "quick"
            answer = case.call(
                base_url=base, headers={"authorization": f"Bearer {KEY}"}, timeout=SECONDS, allow_redirects=False
            )
            assert answer.status_code < FAILED, f"{case.method} {case.path} {case.body!r}: {answer.content!r}"
            if answer.status_code >= REFUSED and case.method != "HEAD":
                assert "error" in answer.json(), answer.content
            asked[operation.path] = asked.get(operation.path, 0) + 1

        with contextlib.suppress(Unsatisfiable):  # what takes nothing cannot be asked wrongly
            ask()

    for operation in operations:
        try_out(operation)
    metered = {path for path in asked if document.raw_schema["paths"][path].keys() == {"post"}}
    assert len(metered) > 10
    assert mode is schemathesis.GenerationMode.NEGATIVE or len(asked) == len({one.path for one in operations})
    assert gateway.ready()
