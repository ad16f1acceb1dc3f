"""The answer's beginning: what is sent, and which answers are good."""

import json
from dataclasses import replace
from typing import Any, Literal

import pytest

from gateway.errors import (
    EndpointsUnavailable,
    GatewayError,
    UpstreamAnswered,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.exchange import Attempt
from gateway.forward import Forwarder
from gateway.upstream.fleet import Fleet
from gateway.upstream.flight import BegunAnswer
from gateway.upstream.station import Station
from gateway.wire.call import Call
from gateway.wire.identity import Identity
from gateway.wire.operations import OPERATIONS
from gateway.wire.request_head import RequestHead
from tests.doubles.clock import ManualClock
from tests.doubles.transport import EVENTS, FakeResponse, FakeTransport, Hang
from tests.gateway.samples import ANSWER, CHAT, EMBEDDINGS, attempt, call, exchange, token_tier
from tests.gateway.wire.samples import DONE, HELLO, ROLE, STOP, USAGE_CHUNK
from tiers.tiermap import Endpoint, Tier, Timeouts
from tiers.usage import Usage

TIER = token_tier()


class Sender:
    """A forwarder to one endpoint whose key is ``sk-endpoint``."""

    def __init__(self, *script: FakeResponse | Exception, endpoint: Endpoint = TIER.endpoints[0]) -> None:
        self.clock = ManualClock()
        self.transport = FakeTransport(*script)
        self.station = Station(
            tier=TIER, endpoint=endpoint, transport=self.transport, api_key="sk-endpoint", clock=self.clock
        )
        self.forward = Forwarder(fleet=Fleet({TIER.name: (self.station,)}), clock=self.clock)
        self.attempt: Attempt = attempt(tier=TIER, endpoint_name="")

    async def send(self, asked: Call | None = None, **fields: Any) -> BegunAnswer:  # noqa: ANN401 - Exchange's fields
        """Forward one request and land."""
        flight = self.forward.depart(self.attempt, self.station)
        try:
            return await self.forward(exchange(**fields), self.attempt, flight, asked or call(), HEAD)
        finally:
            await flight.land()

    async def failure(self, asked: Call | None = None) -> GatewayError:
        """The error with which it fails."""
        with pytest.raises(GatewayError) as caught:
            await self.send(asked)
        return caught.value


STREAM = call(stream=True)
HEAD = RequestHead(CHAT, [(b"accept", b"*/*")])


async def test_departing_chooses_an_endpoint_and_counts_the_attempt_there() -> None:
    """Until it lands."""
    sender = Sender()
    flight = sender.forward.depart(sender.attempt, sender.station)
    assert sender.attempt.endpoint_name == "routing/0"
    assert dict(sender.attempt.served.fields)[b"x-tiergate-endpoint"] == b"routing/0"
    assert sender.station.meter.in_flight == 1
    sender.clock.advance(2)
    await flight.land()
    assert flight.gpu_seconds == 2
    assert sender.station.meter.in_flight == 0


async def test_a_request_carries_the_endpoints_key_and_model() -> None:
    """And the bound on its answer, where the gateway sets one."""
    sender = Sender(FakeResponse(ANSWER))
    sender.attempt = attempt(tier=TIER, answer_bound=100)
    await sender.send()
    [request] = sender.transport.requests
    assert [header for lines in request.headers for header in lines.fields] == [
        (b"accept", b"*/*"),
        (b"accept-encoding", b"identity"),
        (b"authorization", b"Bearer sk-endpoint"),
    ]
    body = json.loads(request.body)
    assert (body["model"], body["max_tokens"]) == ("org/routing-8B", 100)


async def test_a_whole_answer_is_good_if_it_is_one_to_the_operation() -> None:
    """With its usage; its bytes stay as they came, in however many pieces."""
    sender = Sender(FakeResponse(ANSWER[:10], ANSWER[10:]))
    sender.clock.advance(1)
    answer = await sender.send()
    assert (answer.status, answer.body, answer.usage, answer.events) == (200, ANSWER, Usage(input=7, output=3), None)
    assert (sender.attempt.sent_at, sender.attempt.first_byte_at, sender.attempt.upstream_status) == (1001, 1001, 200)
    answer = await Sender(FakeResponse(b'{"data":[]}')).send(operation=EMBEDDINGS)
    assert (answer.body, answer.usage) == (b'{"data":[]}', None)


async def test_a_stream_is_good_from_its_first_event_on() -> None:
    """Not from its head: what came in between is kept."""
    sender = Sender(FakeResponse(ROLE[:5], ROLE[5:] + HELLO[:5], HELLO[5:], headers=EVENTS))
    answer = await sender.send(STREAM)
    assert answer.body == ROLE
    assert answer.events is not None
    assert not answer.events.token_seen
    assert await answer.response.chunk() == HELLO[5:]


async def test_a_stream_of_which_all_is_withheld_until_its_end_is_read_to_its_end() -> None:
    """Then its end is what begins the answer."""
    answer = await Sender(FakeResponse(USAGE_CHUNK, STOP.strip(), headers=EVENTS)).send(STREAM)
    assert answer.body == STOP + DONE


@pytest.mark.parametrize(
    "response",
    [
        FakeResponse(headers=EVENTS),
        FakeResponse(b": ping", headers=EVENTS),
        FakeResponse(USAGE_CHUNK, headers=EVENTS),
        FakeResponse(b"data: {\n\n", headers=EVENTS),
        FakeResponse(b'data: {"error":"dead"}\n\n', headers=EVENTS),
        FakeResponse(ROLE[:9], UpstreamFailed("cut"), headers=EVENTS),
        FakeResponse(ANSWER),
        FakeResponse(ANSWER, headers=()),
    ],
    ids=["empty", "comment", "usage only", "garbled", "error", "cut", "no stream", "no type"],
)
async def test_a_stream_that_does_not_begin_is_no_answer(response: FakeResponse) -> None:
    """The next candidate may do better."""
    assert type(await Sender(response).failure(STREAM)) is UpstreamFailed


@pytest.mark.parametrize(
    "response",
    [
        FakeResponse(b"<html>busy</html>"),
        FakeResponse(b'{"status":"IN_QUEUE"}'),
        FakeResponse(b'{"error":{"message":"no"}}'),
        FakeResponse(b"", status=204),
        FakeResponse(b"moved", status=302),
        FakeResponse(HELLO, STOP, DONE, headers=EVENTS),
    ],
    ids=["html", "Runpod's queue", "error", "no content", "redirect", "a stream"],
)
async def test_what_is_no_answer_to_the_operation_is_a_failure_that_shows_it(response: FakeResponse) -> None:
    """Whatever its status says; the first words of it help to find out who answered."""
    error = await Sender(response).failure()
    assert type(error) is UpstreamFailed
    assert f"routing/0 answered {response.status}" in error.message
    assert error.retry_after_seconds == 1


async def test_what_is_shown_of_a_body_is_short_and_on_one_line() -> None:
    """At most 400 characters."""
    error = await Sender(FakeResponse(b"a\n\tb" + b"x" * 9999)).failure()
    assert "a b" in error.message
    assert "\n" not in error.message
    assert len(error.message) < 520


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (500, b"boom", UpstreamAnswered, 500),
        (503, b'{"error":{"message":"loading"}}', UpstreamAnswered, 503),
        (529, b"", UpstreamAnswered, 529),
        (429, b'{"detail":"slow"}', UpstreamAnswered, 503),
        (401, b"who?", UpstreamRefused, 502),
        (403, b"no", UpstreamRefused, 502),
        (404, b'{"message":"The model `x` does not exist."}', UpstreamRefused, 502),
    ],
)
async def test_an_error_that_is_not_the_callers_fault_is_the_endpoints(
    status: int, body: bytes, kind: type[GatewayError], told: int
) -> None:
    """Busy, broken, or at odds with the tier map; the endpoint's own limit of requests becomes 503."""
    sender = Sender(FakeResponse(body, status=status))
    error = await sender.failure()
    assert type(error) is kind
    assert (error.status, error.retry_after_seconds) == (told, None)
    assert sender.attempt.upstream_status == status
    assert "sk-endpoint" not in error.message


@pytest.mark.parametrize(
    ("header", "seconds"), [(b"7", 7), (b"Fri, 15 Jan 2027 08:00:30 GMT", 30), (b"-1", None)], ids=repr
)
async def test_the_endpoints_own_time_to_come_back_is_read(header: bytes, seconds: float | None) -> None:
    """A number of seconds, or a date after the clock's."""
    error = await Sender(FakeResponse(b"", status=503, headers=[(b"x", b"y"), (b"retry-after", header)])).failure()
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"in an error"}}', "in an error"),
        (b'{"error":"as an error"}', "as an error"),
        (b'{"message":"as a message"}', "as a message"),
        (b'{"detail":"as a detail"}', "as a detail"),
        (b'{"detail":[{"loc":1}]}', '{"detail":[{"loc":1}]}'),
        (b'["a list"]', '["a list"]'),
        (b"plain words", "plain words"),
        (b"\xff", "\ufffd"),
        (b"[" * 100_000, "[[["),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_an_endpoints_words_are_found_in_errors_of_every_form(body: bytes, said: str) -> None:
    """OpenAI's, FastAPI's, Runpod's, or no form at all."""
    assert f"routing/0 answered 500: {said}" in (await Sender(FakeResponse(body, status=500)).failure()).message


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
async def test_an_error_of_the_callers_passes_as_it_is(status: int) -> None:
    """If it has OpenAI's form, byte for byte; with no usage, since nothing was done."""
    body = b'{"error": {"message":"context", "unknown":1}}'
    answer = await Sender(FakeResponse(body, status=status, headers=[(b"x-internal", b"1")])).send()
    assert (answer.status, answer.body, answer.usage) == (status, body, Usage())
    assert answer.headers == [(b"content-type", b"application/json")]


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b'{"object":"error","message":"too long","param":"messages"}', "too long", "messages"),
        (b'{"error":"wrong"}', "wrong", None),
        (b'{"detail":"wrong"}', "wrong", None),
        (b"wrong", "wrong", None),
        (b"", "The endpoint answered 400 without a word.", None),
        (b"[" * 100_000, "[" * 400 + "…", None),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_an_error_of_another_form_is_put_into_openais(body: bytes, message: str, param: str | None) -> None:
    """OpenAI's clients read ``error.message``."""
    answer = await Sender(FakeResponse(body, status=400)).send()
    assert json.loads(answer.body) == {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": param,
            "code": "upstream_rejected",
        }
    }


async def test_a_streams_refusal_is_a_whole_answer() -> None:
    """An endpoint refuses before it streams."""
    answer = await Sender(FakeResponse(b'{"error":{"message":"no"}}', status=400)).send(STREAM)
    assert (answer.status, answer.events) == (400, None)


async def test_what_was_never_sent_was_never_sent() -> None:
    """No moment of sending stays on the attempt: nothing is charged."""
    sender = Sender(UpstreamUnreachable("refused"))
    assert type(await sender.failure()) is UpstreamUnreachable
    assert (sender.attempt.sent_at, sender.attempt.upstream_status) == (None, None)


async def test_what_was_sent_and_not_answered_was_sent() -> None:
    """The endpoint may have worked on it."""
    sender = Sender(UpstreamTimeout("silent"))
    assert type(await sender.failure()) is UpstreamTimeout
    assert (sender.attempt.sent_at, sender.attempt.first_byte_at) == (1000, None)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
async def test_typed_streams_begin_with_their_first_event(path: str) -> None:
    """Whatever it is."""
    first = b'event: x\ndata: {"type":"response.created"}\n\n'
    answer = await Sender(FakeResponse(first, headers=EVENTS)).send(STREAM, operation=OPERATIONS[path])
    assert answer.body == first


LIMITED = Endpoint(name="routing/0", url="http://routing.test/v1", timeouts=Timeouts(first_token=0.05))
"""Waits for a first token for a twentieth of a second."""


@pytest.mark.parametrize(
    "response",
    [
        FakeResponse(ROLE, Hang(), headers=EVENTS),
        FakeResponse(b": waiting\n\n", Hang(), headers=EVENTS),
        FakeResponse(Hang(), headers=EVENTS),
    ],
    ids=["role alone", "comment", "nothing"],
)
async def test_a_stream_whose_first_token_is_late_has_not_begun(response: FakeResponse) -> None:
    """Where there is a limit for it: another endpoint or tier can still be asked."""
    sender = Sender(response, endpoint=LIMITED)
    error = await sender.failure(STREAM)
    assert type(error) is UpstreamTimeout
    assert "timeout first_token" in error.message


async def test_what_comes_before_a_first_token_that_is_in_time_is_sent_on_with_it() -> None:
    """Nothing is lost of what was held back. Without a limit nothing is held back."""
    for endpoint, begun in ((LIMITED, ROLE + HELLO), (TIER.endpoints[0], ROLE)):
        sender = Sender(FakeResponse(ROLE, HELLO, STOP, DONE, headers=EVENTS), endpoint=endpoint)
        assert (await sender.send(STREAM)).body == begun


async def test_a_limited_stream_without_a_token_begins_with_its_end() -> None:
    """As one that was told to be empty."""
    for steps in ((ROLE, STOP, DONE), (ROLE, STOP)):
        answer = await Sender(FakeResponse(*steps, headers=EVENTS), endpoint=LIMITED).send(STREAM)
        assert answer.body == ROLE + STOP + DONE


async def test_a_whole_answer_has_no_first_token_to_be_late() -> None:
    assert (await Sender(FakeResponse(ANSWER), endpoint=LIMITED).send()).body == ANSWER


async def test_an_answer_that_is_to_be_continued_is_no_place_for_a_refusal() -> None:
    """The client reads the first part already."""
    with pytest.raises(UpstreamRefused, match=r"did not continue.*no prefill"):
        await Sender(FakeResponse(b'{"error":"no prefill"}', status=400)).send(STREAM, responded=True)


async def test_without_an_endpoint_that_may_be_asked_nothing_is_sent() -> None:
    """The error says when one may be, and whether it is well."""
    sender = Sender()
    assert sender.forward.choose(exchange(), TIER, ()) is sender.station
    sender.station.report(UpstreamAnswered("full", status=429, retry_after_seconds=7))
    with pytest.raises(EndpointsUnavailable) as caught:
        sender.forward.choose(exchange(), TIER, ())
    assert (caught.value.retry_after_seconds, caught.value.resting) == (7, True)
    sender = Sender()
    for _ in range(TIER.breaker.failures):
        sender.station.report(UpstreamTimeout("silent"))
    with pytest.raises(EndpointsUnavailable) as caught:
        sender.forward.choose(exchange(), TIER, ())
    assert (caught.value.retry_after_seconds, caught.value.resting) == (TIER.breaker.open, False)


Affinity = Literal["none", "session", "prefix"]
PLACES: tuple[tuple[Affinity, int], ...] = (("none", 8), ("session", 1), ("prefix", 1))
"""To how many of eight endpoints calls go that belong together."""


def several(affinity: Affinity) -> tuple[Forwarder, Tier]:
    """Eight endpoints, each with nothing in flight."""
    clock = ManualClock()
    endpoints = tuple(Endpoint(name=f"routing/{number}", url=f"http://{number}.test") for number in range(8))
    tier = token_tier(endpoints=endpoints, affinity=affinity)
    stations = [
        Station(tier=tier, endpoint=endpoint, transport=FakeTransport(), api_key=None, clock=clock)
        for endpoint in endpoints
    ]
    return Forwarder(fleet=Fleet({tier.name: stations}), clock=clock), tier


def test_what_belongs_together_goes_to_one_endpoint() -> None:
    """The calls of a run, or those with one beginning; of others each goes to the next."""
    prompt = [{"role": "system", "content": "You are a writer. " * 100}]
    ones = [exchange(identity=Identity(run="r1"), call=call(user=str(number), messages=prompt)) for number in range(8)]
    for affinity, places in PLACES:
        forward, tier = several(affinity)
        assert len({forward.choose(one, tier, ()).endpoint.name for one in ones}) == places
    others = [
        exchange(
            identity=Identity(agent=f"agent-{number}"),
            call=call(messages=[{"role": "system", "content": f"You are number {number}."}]),
        )
        for number in range(8)
    ]
    for affinity, _ in PLACES:
        forward, tier = several(affinity)
        assert len({forward.choose(one, tier, ()).endpoint.name for one in others}) > 2


def test_one_that_failed_is_avoided() -> None:
    forward, tier = several("session")
    one = exchange(identity=Identity(run="r1"))
    first = forward.choose(one, tier, ()).endpoint.name
    assert forward.choose(one, tier, {first}).endpoint.name != first


async def test_an_endpoint_is_asked_under_the_name_that_it_serves() -> None:
    """Which may still be an earlier one of its tier's."""
    sender = Sender(FakeResponse(ANSWER), endpoint=replace(TIER.endpoints[0], model="served-before"))
    await sender.send()
    [request] = sender.transport.requests
    assert json.loads(request.body)["model"] == "served-before"
