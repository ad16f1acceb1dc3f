"""The answer on its way to the client, and what is read of it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.downstream import AsgiClient, Client
from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.exchange import Attempt, Exchange
from gateway.relay import BODY_END_SECONDS, FINISH_SECONDS, Ending, Relay
from gateway.upstream.flight import BegunAnswer
from gateway.wire.events import EventStream
from gateway.wire.header_lines import HeaderLines
from gateway.wire.headers import Header
from gateway.wire.operations import OPERATIONS, Dialect
from tests.doubles.client import FakeClient
from tests.doubles.clock import ManualClock
from tests.doubles.transport import EVENTS, JSON, FakeResponse, Gate, Hang, Step
from tests.gateway.samples import ANSWER, EMBEDDINGS, attempt, call, exchange, token_tier
from tests.gateway.wire.samples import DONE, HELLO, ROLE, STOP, USAGE_CHUNK
from tiers.usage import Usage

PROMPT = -(-len(call().body) // 4)


class Relayed:
    """One answer that is relayed to one client."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - any of Exchange's fields
        self.clock = ManualClock()
        self.exchange: Exchange = exchange(**fields)
        self.attempt: Attempt = attempt(served=HeaderLines([(b"x-tiergate-tier", b"routing")]))
        self.client = FakeClient(b"")
        self.downstream: Client = AsgiClient(self.client.receive, self.client.send)
        self.downstream.headers.append((b"x-request-id", b"req_1"))
        self.response = FakeResponse()

    async def whole(self, *, status: int = 200, body: bytes = ANSWER, usage: Usage | None = None) -> Ending:
        """Relay a whole answer."""
        answer = BegunAnswer(status=status, headers=JSON, body=body, response=self.response, usage=usage)
        return await Relay(clock=self.clock)(self.exchange, self.attempt, answer, self.downstream)

    async def stream(self, first: bytes, *rest: Step, wants_usage: bool = False, choices: int = 1) -> Ending:
        """Relay a stream whose first bytes have come."""
        events = EventStream(Dialect.CHAT, wants_usage=wants_usage, choices=choices)
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


@pytest.mark.parametrize("pushes", [False, True])
@pytest.mark.parametrize("trouble", [UpstreamFailed("reset"), UpstreamTimeout("silent")])
async def test_a_complete_answer_whose_end_does_not_come_is_completed(pushes: bool, trouble: Step) -> None:
    """The endpoint is given a moment for usage and end mark; then nothing of the content is missing."""
    relayed = Relayed()
    if pushes:
        relayed.downstream = PushedClient(relayed.client, lags=False)
    ending = await relayed.stream(ROLE, HELLO, STOP, trouble)
    assert relayed.response.hurried == FINISH_SECONDS
    await ending()
    assert relayed.client.body.endswith(DONE)
    assert b"".join([ROLE, HELLO, STOP, DONE]) == (
        relayed.client.body if not pushes else ROLE + HELLO + STOP + relayed.client.body.removeprefix(ROLE)
    )


@pytest.mark.parametrize("pushes", [False, True])
async def test_what_cannot_be_read_after_a_finish_reason_is_an_error_all_the_same(pushes: bool) -> None:
    """An endpoint that says that it failed is believed."""
    relayed = Relayed()
    if pushes:
        relayed.downstream = PushedClient(relayed.client, lags=False)
    with pytest.raises(UpstreamFailed, match="dead"):
        await relayed.stream(ROLE, HELLO, STOP, b'data: {"error":"dead"}\n\n')


async def test_an_answer_of_several_is_not_hurried_by_the_first_that_ends() -> None:
    """The others may take their time."""
    relayed = Relayed()
    with pytest.raises(UpstreamTimeout):
        await relayed.stream(ROLE, HELLO, STOP, UpstreamTimeout("silent"), choices=2)
    assert relayed.response.hurried is None


@pytest.mark.parametrize("told", [[], [(b"content-type", b"text/html")], [(b"content-type", b"text/plain")]])
async def test_a_whole_answer_is_json_whatever_its_endpoint_calls_it(told: list[Header]) -> None:
    """OpenAI's clients would not read it else."""
    relayed = Relayed()
    answer = BegunAnswer(status=200, headers=told, body=ANSWER, response=relayed.response)
    await (await Relay(clock=relayed.clock)(relayed.exchange, relayed.attempt, answer, relayed.downstream))()
    assert relayed.client.headers[b"content-type"] == b"application/json"
    assert relayed.client.body == ANSWER


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


STREAMED = call(stream=True)
"""A request whose stream can be continued."""


class Continuing(Relayed):
    """A stream that breaks off and goes on with another attempt, in a tier that wants that."""

    def __init__(self, *, continues: bool = True, **fields: Any) -> None:  # noqa: ANN401 - any of Exchange's fields
        super().__init__(**{"call": STREAMED} | fields)
        self.tier = token_tier(continue_streams=continues)
        self.attempt = attempt(tier=self.tier, begun=True)
        self.exchange.attempts.append(self.attempt)

    async def breaks(self, *pieces: bytes) -> None:
        """Relay ``pieces`` and a break."""
        with pytest.raises(UpstreamFailed, match="cut"):
            await self.stream(pieces[0], *pieces[1:], UpstreamFailed("cut"))

    async def goes_on(self, *pieces: Step, wants_usage: bool = False) -> Ending:
        """Relay the rest, as the pipeline does."""
        assert self.exchange.unfinished is not None
        assert self.exchange.unfinished.possible
        self.exchange.call = self.exchange.unfinished.rest()
        self.clock.advance(5)
        self.attempt = attempt(tier=self.tier, reason="continuation", begun=True)
        self.exchange.attempts.append(self.attempt)
        first = pieces[0]
        assert isinstance(first, bytes)
        return await self.stream(first, *pieces[1:], wants_usage=wants_usage)


@pytest.mark.parametrize("pushes", [False, True])
async def test_a_broken_stream_goes_on_with_another_attempt(pushes: bool) -> None:
    """In the same answer of the client's; nobody else is told a second head."""
    relayed = Continuing()
    pushed = PushedClient(relayed.client, lags=False)
    if pushes:
        relayed.downstream = pushed
    await relayed.breaks(ROLE, HELLO)
    ending = await relayed.goes_on(ROLE, HELLO, STOP, USAGE_CHUNK, DONE)
    await ending()
    whole = relayed.client.body + b"".join(pushed.pushed)
    assert whole.count(b'"Hello"') == 2
    assert whole.count(b'"role"') == whole.count(DONE) == whole.count(b": tiergate continued on routing/0\n\n") == 1
    assert [message["type"] for message in relayed.client.sent].count("http.response.start") == 1
    assert relayed.client.is_complete()


async def test_each_attempt_has_its_own_usage_and_the_client_one() -> None:
    """The broken part by the gateway's count; the rest as reported, whose prompt holds the text so far."""
    relayed = Continuing()
    await relayed.breaks(ROLE, HELLO)
    first, prompt = relayed.attempt, -(-len(STREAMED.body) // 4)
    assert first.usage == relayed.exchange.usage == Usage(input=prompt, output=2)
    await relayed.goes_on(HELLO, STOP, USAGE_CHUNK, DONE)
    assert relayed.attempt.usage == Usage(input=7, output=3)
    assert relayed.exchange.usage == Usage(input=5, output=5)
    assert not relayed.exchange.usage_reported
    assert first.usage == Usage(input=prompt, output=2)


async def test_the_first_byte_and_token_are_those_of_the_attempt_that_began() -> None:
    """What the client waited for is not what the rest took."""
    relayed = Continuing()
    relayed.attempt.first_byte_at = 999.0
    await relayed.breaks(HELLO)
    await relayed.goes_on(HELLO, STOP, DONE)
    assert (relayed.attempt.first_byte_at, relayed.attempt.first_token_at) == (999.0, 1000.0)
    relayed = Continuing()
    await relayed.breaks(ROLE)
    await relayed.goes_on(HELLO, STOP, DONE)
    assert relayed.attempt.first_token_at == 1005.0


async def test_an_answer_that_breaks_twice_goes_on_twice() -> None:
    """Each part counts."""
    relayed = Continuing()
    await relayed.breaks(ROLE, HELLO)
    with pytest.raises(UpstreamFailed, match="cut"):
        await relayed.goes_on(HELLO, UpstreamFailed("cut"))
    assert relayed.exchange.usage is not None
    assert relayed.exchange.usage.output == 4
    await (await relayed.goes_on(HELLO, STOP, DONE))()
    assert relayed.client.body.count(b'"Hello"') == 3
    assert relayed.client.body.count(b": tiergate continued") == 2
    assert relayed.exchange.usage.output == 6


async def test_an_answer_that_is_not_the_rest_is_the_endpoints_failure_and_is_not_sent() -> None:
    """A refusal, or an event that begins something else."""
    relayed = Continuing()
    await relayed.breaks(ROLE, HELLO)
    sent = relayed.client.body
    assert relayed.exchange.unfinished is not None
    with pytest.raises(UpstreamFailed, match="answered 400"):
        await relayed.whole(status=400)
    with pytest.raises(UpstreamFailed, match="that was to continue"):
        await relayed.goes_on(b'data: {"choices":[{"delta":{"reasoning_content":"Hm"}}]}\n\n')
    assert relayed.client.body == sent


@pytest.mark.parametrize(
    "relayed",
    [
        lambda: Continuing(continues=False),
        lambda: Continuing(operation=OPERATIONS["/v1/completions"]),
        lambda: Continuing(call=None),
    ],
    ids=["tier does not", "no chat", "nothing read"],
)
async def test_other_streams_keep_nothing(relayed: Callable[[], Continuing]) -> None:
    """Where nothing can be continued nothing is remembered."""
    one = relayed()
    await one.breaks(ROLE, HELLO)
    assert one.exchange.unfinished is None
