"""The way to the pipeline of the moment."""

import asyncio
import json

from gateway.downstream import AsgiClient
from gateway.serving import Serving
from gateway.wire.request_head import RequestHead
from tests.doubles.client import FakeClient
from tests.doubles.transport import FakeResponse, Gate
from tests.gateway.composed import KEY, Composed, composed
from tests.gateway.samples import ANSWER, CHAT, request

HEAD = [(b"authorization", b"Bearer " + KEY.encode())]


def start(serving: Serving, client: FakeClient) -> "asyncio.Task[None]":
    """Begin to serve a request."""
    return asyncio.ensure_future(serving.serve(RequestHead(CHAT, HEAD), AsgiClient(client.receive, client.send)))


def headers(client: FakeClient) -> dict[bytes, bytes]:
    """Of the answer."""
    return dict(client.sent[0]["headers"])


def records(subject: Composed) -> int:
    """How many requests have ended there."""
    return len(subject.logged())


async def test_a_request_keeps_the_pipeline_that_it_began_with() -> None:
    """Another one serves those that come after."""
    before, after = composed(), composed()
    gate = Gate()
    before.transport.then(gate, FakeResponse(ANSWER))
    after.transport.then(FakeResponse(ANSWER))
    serving = Serving(before.parts.serving.pipeline)
    old, new = FakeClient(request()), FakeClient(request())
    begun = start(serving, old)
    await gate.reached.wait()
    serving.pipeline = after.parts.serving.pipeline
    await start(serving, new)
    assert (records(before), records(after)) == (0, 1)
    gate.opened.set()
    await begun
    assert (records(before), records(after)) == (1, 1)
    assert (old.status, new.status) == (200, 200)


async def test_a_process_that_leaves_says_so_with_every_answer() -> None:
    """Its client then comes back on another connection, and finds another process."""
    subject = composed()
    subject.transport.then(FakeResponse(ANSWER), FakeResponse(ANSWER))
    serving = subject.parts.serving
    stays, leaves, fails = FakeClient(request()), FakeClient(request()), FakeClient(b"{")
    await start(serving, stays)
    serving.leaving = True
    await start(serving, leaves)
    await start(serving, fails)
    assert b"connection" not in headers(stays)
    assert (leaves.status, headers(leaves)[b"connection"]) == (200, b"close")
    assert (fails.status, headers(fails)[b"connection"]) == (400, b"close")


async def test_so_does_every_handler() -> None:
    """Also where it refuses."""
    subject = composed()
    assert "connection" not in (await subject.get("/healthz")).headers
    subject.parts.serving.leaving = True
    for path in ("/healthz", "/v1/models", "/nothing"):
        answer = await subject.get(path)
        assert answer.headers["connection"] == "close"
        assert json.loads(answer.content)
