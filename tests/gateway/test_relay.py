"""The answer on its way to the client, and what is read of it."""

import asyncio
from typing import Any

import pytest

from gateway.downstream import AsgiClient, Client
from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.exchange import Attempt, Exchange
from gateway.relay import BODY_END_SECONDS, Ending, Relay
from gateway.upstream.flight import BegunAnswer
from gateway.wire.events import EventStream
from gateway.wire.headers import Header
from gateway.wire.operations import Dialect
from tests.doubles.client import FakeClient
from tests.doubles.clock import ManualClock
from tests.doubles.transport import EVENTS, JSON, FakeResponse, Gate, Hang, Step
from tests.gateway.samples import ANSWER, EMBEDDINGS, attempt, call, exchange
from tests.gateway.wire.samples import DONE, HELLO, ROLE, STOP, USAGE_CHUNK
from tiers.usage import Usage

PROMPT = -(-len(call().body) // 4)


class Relayed:
    """One answer that is relayed to one client."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - any of Exchange's fields
        self.clock = ManualClock()
        self.exchange: Exchange = exchange(**fields)
        self.attempt: Attempt = attempt(reason="route:default")
        self.client = FakeClient(b"")
        self.downstream: Client = AsgiClient(self.client.receive, self.client.send)
        self.downstream.headers.append((b"x-request-id", b"req_1"))
        self.response = FakeResponse()

    async def whole(self, *, status: int = 200, body: bytes = ANSWER, usage: Usage | None = None) -> Ending:
        """Relay a whole answer."""
        answer = BegunAnswer(status=status, headers=JSON, body=body, response=self.response, usage=usage)
        return await Relay(clock=self.clock)(self.exchange, self.attempt, answer, self.downstream)

    async def stream(self, first: bytes, *rest: Step, wants_usage: bool = False) -> Ending:
        """Relay a stream whose first bytes have come."""
        events = EventStream(Dialect.CHAT, wants_usage=wants_usage)
        self.response = FakeResponse(*rest, headers=EVENTS)
        answer = BegunAnswer(status=200, headers=EVENTS, body=events.feed(first), response=self.response, events=events)
        return await Relay(clock=self.clock)(self.exchange, self.attempt, answer, self.downstream)


async def test_a_whole_answer_is_sent_when_it_is_settled() -> None:
    """Nothing before; then status, headers and body at once."""
    relayed = Relayed()
    relayed.clock.advance(3)
    ending = await relayed.whole(usage=Usage(input=7, output=3))
    assert relayed.client.sent == []
    assert not relayed.exchange.responded
    assert relayed.attempt.first_token_at == 1003
    assert (relayed.exchange.usage, relayed.exchange.usage_reported) == (Usage(input=7, output=3), True)
    await ending()
    assert relayed.client.body == ANSWER
    assert relayed.client.headers == {
        b"content-type": b"application/json",
        b"content-length": str(len(ANSWER)).encode(),
        b"x-tiergate-tier": b"routing",
        b"x-tiergate-endpoint": b"routing/0",
        b"x-tiergate-reason": b"route:default",
        b"x-request-id": b"req_1",
    }


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_an_endpoints_refusal_is_relayed_with_its_status(status: int) -> None:
    """It is the caller's to read."""
    relayed = Relayed()
    await (await relayed.whole(status=status, usage=Usage()))()
    assert relayed.client.status == relayed.exchange.status == status
    assert (relayed.exchange.usage, relayed.exchange.usage_reported) == (Usage(), True)


async def test_missing_usage_is_counted() -> None:
    """The prompt by the request's size, the answer by its own; what generates nothing has no output."""
    relayed = Relayed()
    await relayed.whole()
    assert relayed.exchange.usage == Usage(input=PROMPT, output=-(-len(ANSWER) // 4))
    assert not relayed.exchange.usage_reported
    relayed = Relayed(operation=EMBEDDINGS)
    await relayed.whole()
    assert relayed.exchange.usage == Usage(input=PROMPT)
    relayed = Relayed(call=None)
    await relayed.whole(body=b"")
    assert relayed.exchange.usage == Usage()


async def test_a_stream_is_sent_on_but_for_its_end() -> None:
    """The end marker comes when the request is settled: clients hang up as soon as they have it."""
    relayed = Relayed()
    ending = await relayed.stream(ROLE, HELLO, STOP, USAGE_CHUNK, DONE)
    assert relayed.exchange.responded
    assert relayed.client.body == ROLE + HELLO + STOP
    assert not relayed.client.is_complete()
    assert relayed.exchange.usage == Usage(input=7, output=3)
    await ending()
    assert relayed.client.body == ROLE + HELLO + STOP + DONE
    assert relayed.client.is_complete()
    assert relayed.response.ended


async def test_a_stream_that_comes_at_once_is_sent_at_its_end() -> None:
    """All of it is the piece with the end marker."""
    relayed = Relayed()
    ending = await relayed.stream(ROLE + HELLO + STOP + DONE)
    assert relayed.attempt.first_token_at == 1000
    await ending()
    assert relayed.client.body == ROLE + HELLO + STOP + DONE


async def test_a_stream_without_end_marker_is_completed() -> None:
    """Where its answer is."""
    relayed = Relayed()
    await (await relayed.stream(HELLO, STOP))()
    assert relayed.client.body == HELLO + STOP + DONE


async def test_the_first_token_is_the_first_content() -> None:
    """Not the role that comes before it."""
    relayed = Relayed()
    gate = Gate()
    task = asyncio.ensure_future(relayed.stream(ROLE, gate, HELLO, STOP, DONE))
    await gate.reached.wait()
    assert relayed.attempt.first_token_at is None
    relayed.clock.advance(5)
    gate.opened.set()
    await task
    assert relayed.attempt.first_token_at == 1005


async def test_pieces_of_which_nothing_may_be_sent_are_no_messages() -> None:
    """An empty message would end some clients' patience, and costs a system call."""
    relayed = Relayed()
    await relayed.stream(HELLO[:7], HELLO[7:], USAGE_CHUNK, STOP, DONE)
    assert [message.get("body") for message in relayed.client.sent[1:]] == [HELLO, STOP]


@pytest.mark.parametrize("error", [UpstreamFailed("cut"), UpstreamTimeout("silent")])
async def test_a_broken_stream_is_accounted_for_as_far_as_it_came(error: UpstreamFailed) -> None:
    """By the gateway's own count, since usage comes last."""
    relayed = Relayed()
    with pytest.raises(type(error)):
        await relayed.stream(ROLE, HELLO, HELLO, error)
    assert relayed.exchange.usage is not None
    assert relayed.exchange.usage.input == PROMPT
    assert relayed.exchange.usage.output >= 2
    assert not relayed.exchange.usage_reported


@pytest.mark.parametrize("trouble", [Hang(), UpstreamFailed("cut after the end")])
async def test_trouble_after_the_end_marker_is_none_of_the_clients(trouble: Step) -> None:
    """The answer is complete; an endpoint that does not end its body is waited for briefly."""
    relayed = Relayed()
    async with asyncio.timeout(BODY_END_SECONDS * 20):
        ending = await relayed.stream(HELLO, STOP, DONE, b": bye\n\n", trouble)
    await ending()
    assert relayed.client.body == HELLO + STOP + DONE
    assert not relayed.response.ended


class PushedClient:
    """A client whose side can send at once, before an ASGI server; it lags after every piece where ``lags``.

    It fulfils ``Client`` and does not inherit: no class can inherit from a compiled one.
    """

    def __init__(self, client: FakeClient, *, lags: bool) -> None:
        asgi = AsgiClient(client.receive, client.send)
        self.body, self.present = asgi.body, asgi.present
        self.start_stream, self.send_piece, self.end_stream = asgi.start_stream, asgi.send_piece, asgi.end_stream
        self.send_whole = asgi.send_whole
        self.headers: list[Header] = asgi.headers
        self.responded = self.streaming = False
        self.pushed: list[bytes] = []
        self.drained = 0
        self.lags = lags

    def push(self, piece: bytes) -> bool:
        """Take it."""
        self.pushed.append(piece)
        return not self.lags

    async def drain(self) -> None:
        """Count it."""
        self.drained += 1


@pytest.mark.parametrize("lags", [False, True])
async def test_a_client_that_can_is_pushed_what_comes_and_waited_for_when_it_lags(*, lags: bool) -> None:
    """Between the first piece, with which the head leaves, and the end, which waits for the settlement."""
    relayed = Relayed()
    pushed = relayed.downstream = PushedClient(relayed.client, lags=lags)
    ending = await relayed.stream(ROLE, HELLO, HELLO, STOP, DONE)
    assert relayed.client.body == ROLE
    assert pushed.pushed == [HELLO, HELLO, STOP]
    assert pushed.drained == (4 if lags else 1)
    assert relayed.attempt.first_token_at is not None
    await ending()
    assert relayed.client.body == ROLE + DONE


async def test_a_pushed_stream_that_ends_early_fails_and_one_that_only_lacks_its_marker_gets_it() -> None:
    """A broken stream never looks complete."""
    relayed = Relayed()
    relayed.downstream = PushedClient(relayed.client, lags=False)
    ending = await relayed.stream(ROLE, HELLO, STOP)
    await ending()
    assert relayed.client.body == ROLE + DONE
    relayed = Relayed()
    relayed.downstream = PushedClient(relayed.client, lags=False)
    with pytest.raises(UpstreamFailed, match="before the answer was complete"):
        await relayed.stream(ROLE, HELLO)
    assert relayed.exchange.usage is not None
    assert relayed.exchange.usage.output == 2
