"""A request's way, in the order of its steps, when nothing or something goes wrong before its answer."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import UpstreamFailed, UpstreamTimeout, UpstreamUnreachable
from gateway.exchange import Caller
from gateway.upstream.warmth import Warmth
from tests.doubles.client import FakeClient
from tests.doubles.transport import EVENTS, FakeResponse, Gate, Hang
from tests.gateway.rig import KEY, Rig, rig
from tests.gateway.samples import ANSWER, EMBEDDINGS, budget, request, token_tier
from tests.gateway.wire.samples import DONE, HELLO, ROLE, STOP, USAGE_CHUNK
from tiers.tiermap import Queue, Retry, Route, Timeouts, Workers

SPENT = 7 * 1 + 3 * 2
"""Microdollars of an answer with the usual usage."""
STREAM = (ROLE, HELLO, STOP, USAGE_CHUNK, DONE)
MONEY = (budget(), budget(unit="tokens", name="tokens"))


def streamed(*steps: bytes | Exception | Hang) -> FakeResponse:
    return FakeResponse(*steps, headers=EVENTS)


def two_tiers(**first: Any) -> Rig:  # noqa: ANN401 - any of Tier's fields
    """``routing``, which falls back to ``reasoning`` after one try; each costs the same."""
    return rig(
        token_tier("routing", **{"fallback": ("reasoning",), "retry": Retry(attempts=2), **first}),
        token_tier("reasoning"),
        budgets=MONEY,
    )


async def test_a_whole_answer_passes_with_who_gave_it_and_is_charged() -> None:
    """Status and bytes are the endpoint's; the headers say tier, endpoint, reason and the request's id."""
    subject = rig(budgets=MONEY)
    subject.transport.then(FakeResponse(ANSWER))
    client = FakeClient(request(max_tokens=50))
    record = await subject.serve(client, headers=[(b"x-tiergate-agent", b"writer"), (b"x-tiergate-run", b"r1")])
    assert (client.status, client.body) == (200, ANSWER)
    assert client.headers == {
        b"content-type": b"application/json",
        b"content-length": str(len(ANSWER)).encode(),
        b"x-request-id": b"req_1",
        b"x-tiergate-tier": b"routing",
        b"x-tiergate-endpoint": b"routing/0",
        b"x-tiergate-reason": b"tier",
    }
    assert await subject.spent() == {"money": (SPENT, 0), "tokens": (10, 0)}
    assert subject.ledger.resolved == [("req_1", "settled")]
    assert (record.outcome, record.status, record.error, record.attempts) == ("ok", 200, "", 1)
    assert (record.agent, record.run, record.key, record.model) == ("writer", "r1", "demo", "routing")
    assert (record.input_tokens, record.output_tokens, record.cost_microdollars) == (7, 3, SPENT)
    assert record.usage_reported
    await subject.assert_clean()


async def test_the_endpoint_is_sent_the_same_request_for_its_own_model() -> None:
    """The path is the operation's, the caller's key stays here."""
    subject = rig()
    subject.transport.then(FakeResponse(b'{"data":[]}'))
    await subject.serve(FakeClient(b'{"model":"routing",', b'"input":[]}'), operation=EMBEDDINGS)
    [sent] = subject.transport.requests
    assert (sent.method, sent.path) == (b"POST", b"/v1/embeddings")
    assert json.loads(sent.body) == {"model": "org/routing-8B", "input": []}
    assert KEY not in b"".join(value for lines in sent.headers for _, value in lines.fields)


async def test_a_stream_passes_piece_by_piece() -> None:
    """Each as soon as it came, without the usage that the client did not ask for."""
    subject = rig(budgets=MONEY)
    gate = Gate()
    subject.transport.then(streamed(ROLE, HELLO, gate, STOP + USAGE_CHUNK, DONE))
    client = FakeClient(request(stream=True))
    task = subject.start(client)
    await client.got(3)
    assert client.body == ROLE + HELLO
    assert not client.is_complete()
    gate.opened.set()
    record = await subject.end_of(task)
    assert client.body == ROLE + HELLO + STOP + DONE
    assert client.is_complete()
    assert (record.outcome, record.stream, record.output_tokens) == ("ok", True, 3)
    assert await subject.spent() == {"money": (SPENT, 0), "tokens": (10, 0)}
    assert subject.transport.answered[0].ended, "the connection can be used again"
    await subject.assert_clean()


async def test_who_has_the_whole_answer_finds_it_settled() -> None:
    """The last bytes leave after the slot was given back: the next request of a sequential caller never waits."""
    subject = rig(token_tier(slots=1), budgets=MONEY)
    booked = Gate()
    subject.ledger.slow["settle"] = booked
    for response, body in ((FakeResponse(ANSWER), request()), (streamed(*STREAM), request(stream=True))):
        subject.transport.then(response)
        booked.reached.clear()
        booked.opened.clear()
        client = FakeClient(body)
        task = subject.start(client)
        await booked.reached.wait()
        assert not client.is_complete()
        booked.opened.set()
        await subject.end_of(task)
        assert client.is_complete()
    await subject.assert_clean()


async def test_auto_goes_through_the_routes() -> None:
    """And the answer says which one."""
    subject = rig(routes=(Route(name="default", tier="routing"),))
    subject.transport.then(FakeResponse(ANSWER))
    client = FakeClient(request("auto"))
    assert (await subject.serve(client)).reason == "route:default"
    assert client.headers[b"x-tiergate-reason"] == b"route:default"


@pytest.mark.parametrize(
    ("key", "headers", "body", "status", "code"),
    [
        (None, [], request(), 401, "invalid_api_key"),
        (b"wrong", [], request(), 401, "invalid_api_key"),
        (KEY, [(b"x-tiergate-agent", b"a" * 300)], request(), 400, "invalid_request"),
        (KEY, [], b"{", 400, "invalid_request"),
        (KEY, [], request(stream=True) + b" " * 10_000, 413, "body_too_large"),
        (KEY, [(b"content-length", b"10001")], b"", 413, "body_too_large"),
        (KEY, [], request("unknown"), 404, "model_not_found"),
        (KEY, [], request("reasoning"), 403, "tier_not_allowed"),
    ],
)
async def test_a_request_that_may_not_start_takes_nothing(
    key: bytes | None, headers: list[tuple[bytes, bytes]], body: bytes, status: int, code: str
) -> None:
    """No slot, no budget, no endpoint; but a record, and an answer in OpenAI's form."""
    subject = rig(token_tier(), token_tier("reasoning"), caller=Caller(name="demo", tiers=frozenset({"routing"})))
    client = FakeClient(body)
    record = await subject.serve(client, key=key, headers=headers)
    assert (client.status, client.error["code"]) == (status, code)
    assert client.headers[b"x-request-id"] == b"req_1"
    assert client.headers[b"x-should-retry"] == b"false"
    assert (record.status, record.error) == (status, code)
    assert record.outcome == ("unauthorized" if status == 401 else "client_error")
    assert (record.attempts, record.tier, record.queue_delay_seconds) == (0, "", None)
    assert not subject.ledger.asked
    await subject.assert_clean()


async def test_a_body_that_names_its_model_twice_is_refused_and_costs_nothing() -> None:
    """It is found out when the body is written for the endpoint: the reservation goes back."""
    subject = rig(budgets=MONEY)
    client = FakeClient(b'{"model":"x","model":"routing"}')
    assert (await subject.serve(client)).error == "invalid_request"
    assert subject.ledger.resolved == [("req_1", "released")]
    assert not subject.transport.requests
    await subject.assert_clean()


async def test_a_spent_budget_is_402_and_no_fallback() -> None:
    """Another tier would be a way around the budget."""
    subject = rig(
        token_tier(fallback=("reasoning",)),
        token_tier("reasoning"),
        budgets=(budget(400, kind="tier", pattern="routing"),),
    )
    body = request(max_tokens=100)
    subject.transport.then(FakeResponse(b'{"choices":[1],"usage":{"prompt_tokens":100,"completion_tokens":100}}'))
    await subject.serve(FakeClient(body))
    client = FakeClient(body)
    record = await subject.serve(client)
    assert (client.status, client.error["code"]) == (402, "budget_exhausted")
    assert int(client.headers[b"retry-after"]) > 0
    assert (record.outcome, record.attempts, record.tier) == ("budget_exhausted", 1, "routing")
    assert len(subject.transport.requests) == 1
    await subject.assert_clean()


async def test_a_request_above_the_whole_budget_is_told_so() -> None:
    """Waiting will not help; a shorter answer would."""
    subject = rig(budgets=(budget(5),))
    client = FakeClient(request())
    assert (await subject.serve(client)).error == "budget_too_small"
    assert "max_tokens" in client.error["message"]
    await subject.assert_clean()


async def test_a_store_that_does_not_answer_is_503_and_nothing_is_sent() -> None:
    """Without budgets nothing is spent; what may have been reserved all the same is released later."""
    subject = rig(budgets=MONEY)
    subject.ledger.down = {"reserve"}
    client = FakeClient(request())
    record = await subject.serve(client)
    assert (client.status, client.error["code"]) == (503, "store_unavailable")
    assert client.headers[b"retry-after"] == b"1"
    assert record.outcome == "shed"
    assert subject.settler.unsettled == 1
    await subject.assert_clean()
    assert subject.ledger.asked["release"] == 1


@pytest.mark.parametrize(
    ("failing", "charged"),
    [
        (UpstreamUnreachable("no route"), False),
        (UpstreamFailed("broken"), True),
        (UpstreamTimeout("silent"), True),
        (FakeResponse(b"busy", status=503), False),
        (FakeResponse(b"slow down", status=429), False),
        (FakeResponse(b"who?", status=401), False),
        (FakeResponse(b"<html>"), True),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_endpoint_that_fails_before_its_first_byte_is_followed_by_the_fallback(
    failing: Exception | FakeResponse, charged: bool
) -> None:
    """The client sees one good answer. What the first endpoint may have worked on is charged, the rest is not."""
    subject = two_tiers()
    subject.transports["routing/0"].then(failing)
    subject.transports["reasoning/0"].then(FakeResponse(ANSWER))
    client = FakeClient(request())
    record = await subject.serve(client)
    assert client.status == 200
    assert client.headers[b"x-tiergate-reason"] == b"fallback"
    assert (record.outcome, record.tier, record.reason, record.attempts) == ("ok", "reasoning", "fallback", 2)
    assert subject.ledger.resolved == [("req_1", "settled" if charged else "released"), ("req_1.2", "settled")]
    prompt = -(-len(request()) // 4)
    assert record.cost_microdollars == SPENT + prompt * charged
    assert await subject.spent() == {"money": (SPENT + prompt * charged, 0), "tokens": (10 + prompt * charged, 0)}
    await subject.assert_clean()


async def test_a_stream_that_fails_before_its_first_content_event_falls_back_too() -> None:
    """An endpoint that fails at once often says so in its first event."""
    subject = two_tiers()
    subject.transports["routing/0"].then(streamed(b'data: {"error":{"message":"engine dead"}}\n\n'))
    subject.transports["reasoning/0"].then(streamed(*STREAM))
    client = FakeClient(request(stream=True))
    assert (await subject.serve(client)).reason == "fallback"
    assert client.body.endswith(DONE)
    await subject.assert_clean()


async def test_when_every_candidate_fails_the_first_failure_is_told() -> None:
    """It is of the tier that was asked for."""
    subject = two_tiers()
    subject.transports["routing/0"].then(FakeResponse(b"first", status=500))
    subject.transports["reasoning/0"].then(FakeResponse(b"second", status=503))
    client = FakeClient(request())
    record = await subject.serve(client)
    assert client.status == 500
    assert "first" in client.error["message"]
    assert (record.outcome, record.error, record.attempts) == ("upstream_error", "upstream_error", 2)
    await subject.assert_clean()


async def test_a_fallback_whose_budget_is_spent_does_not_hide_the_first_failure() -> None:
    """The caller can do something about the failure, not about the fallback's budget."""
    subject = rig(
        token_tier(fallback=("reasoning",), retry=Retry(attempts=2)),
        token_tier("reasoning"),
        budgets=(budget(1, kind="tier", pattern="reasoning"),),
    )
    subject.transports["routing/0"].then(FakeResponse(b"busy", status=503))
    client = FakeClient(request())
    assert (await subject.serve(client)).error == "upstream_error"
    assert client.status == 503
    await subject.assert_clean()


async def test_a_saturated_tier_spills_over() -> None:
    """Nothing failed, and the reason says so."""
    subject = two_tiers(queue=Queue(length=0), slots=1)
    busy = Gate()
    subject.transports["routing/0"].then(busy, FakeResponse(ANSWER))
    subject.transports["reasoning/0"].then(FakeResponse(ANSWER))
    first = subject.start(FakeClient(request()))
    await busy.reached.wait()
    client = FakeClient(request())
    record = await subject.serve(client)
    assert client.headers[b"x-tiergate-reason"] == b"spill-over"
    assert (record.reason, record.attempts) == ("spill-over", 2)
    busy.opened.set()
    await subject.end_of(first)
    await subject.assert_clean()


async def test_a_saturated_tier_without_fallback_is_503() -> None:
    """With the time to come back, and not 429."""
    subject = rig(token_tier(slots=1, queue=Queue(length=0)))
    busy = Gate()
    subject.transport.then(busy, FakeResponse(ANSWER))
    first = subject.start(FakeClient(request()))
    await busy.reached.wait()
    client = FakeClient(request())
    record = await subject.serve(client)
    assert (client.status, client.error["code"], client.headers[b"retry-after"]) == (503, "tier_saturated", b"5")
    assert record.outcome == "shed"
    busy.opened.set()
    await subject.end_of(first)
    await subject.assert_clean()


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_an_endpoints_no_to_the_caller_passes_and_costs_nothing(status: int) -> None:
    """The caller must change its request; another endpoint would say the same."""
    subject = two_tiers()
    refusal = b'{"error":{"message":"This model has a maximum context length of 10.","type":"x"}}'
    subject.transports["routing/0"].then(FakeResponse(refusal, status=status))
    client = FakeClient(request())
    record = await subject.serve(client)
    assert (client.status, client.body) == (status, refusal)
    assert (record.outcome, record.status, record.attempts) == ("client_error", status, 1)
    assert record.cost_microdollars == 0
    assert subject.ledger.resolved == [("req_1", "released")]
    await subject.assert_clean()


async def test_a_defect_of_the_gateway_is_a_500_that_hides_its_cause_and_is_raised_for_the_log() -> None:
    """And still nothing is left behind."""
    subject = rig(budgets=MONEY)
    subject.transport.then(RuntimeError("secret detail"))
    client = FakeClient(request())
    task = subject.start(client)
    with pytest.raises(RuntimeError, match="secret detail"):
        await task
    assert (client.status, client.error["code"]) == (500, "internal_error")
    assert "req_1" in client.error["message"]
    assert b"secret detail" not in client.body
    assert (subject.records[0].outcome, subject.records[0].status) == ("upstream_error", 500)
    await subject.assert_clean()


async def test_the_first_tiers_deadline_holds_for_all_attempts_together() -> None:
    """It is the caller's wait that is bounded."""
    deadline = 0.05
    subject = two_tiers(timeouts=Timeouts(total=deadline))
    subject.transports["routing/0"].then(FakeResponse(b"busy", status=503))
    subject.transports["reasoning/0"].then(Hang())
    client = FakeClient(request())
    record = await subject.serve(client)
    assert (client.status, client.error["code"]) == (504, "upstream_timeout")
    assert (record.outcome, record.attempts) == ("timeout", 2)
    await subject.assert_clean()


async def test_times_are_of_their_own_steps() -> None:
    """Queue delay, time to first byte and token, the endpoint's time, the whole: each by the clock."""
    subject = rig(token_tier(slots=1))
    busy, head, token, end = Gate(), Gate(), Gate(), Gate()
    subject.transport.then(busy, FakeResponse(ANSWER), head, streamed(ROLE, token, HELLO, end, STOP, DONE))
    first = subject.start(FakeClient(request()))
    await busy.reached.wait()
    client = FakeClient(request(stream=True))
    second = subject.start(client)
    await subject.queued(1)
    subject.clock.advance(1)
    busy.opened.set()
    await subject.end_of(first)
    for gate, seconds in ((head, 2), (token, 4), (end, 8)):
        await gate.reached.wait()
        subject.clock.advance(seconds)
        gate.opened.set()
    record = await subject.end_of(second)
    assert record.queue_delay_seconds == 1
    assert record.time_to_first_byte_seconds == 1 + 2
    assert record.time_to_first_token_seconds == 1 + 2 + 4
    assert record.duration_seconds == 1 + 2 + 4 + 8
    assert record.upstream_seconds == 2 + 4 + 8
    assert record.gpu_seconds == 2 + 4 + 8
    assert client.headers[b"x-tiergate-waited"] == b"queue=1.000"
    await subject.assert_clean()


async def test_what_waited_in_vain_says_how_long() -> None:
    """An error's answer is one, too."""
    subject = rig(token_tier(slots=1, queue=Queue(length=1, wait_seconds=0.01)))
    busy = Gate()
    subject.transport.then(busy, FakeResponse(ANSWER))
    first = subject.start(FakeClient(request()))
    await busy.reached.wait()
    client = FakeClient(request())
    second = subject.start(client)
    await subject.queued(1)
    subject.clock.advance(3)
    await subject.end_of(second)
    assert (client.status, client.headers[b"x-tiergate-waited"]) == (503, b"queue=3.000")
    busy.opened.set()
    await subject.end_of(first)


async def test_time_at_two_endpoints_is_added_up() -> None:
    """GPU seconds of every attempt that may have worked, each at its own tier's price."""
    subject = two_tiers()
    slow = Gate()
    subject.transports["routing/0"].then(slow, UpstreamTimeout("silent"))
    subject.transports["reasoning/0"].then(FakeResponse(ANSWER))
    task = subject.start(FakeClient(request()))
    await slow.reached.wait()
    subject.clock.advance(3)
    slow.opened.set()
    assert (await subject.end_of(task)).gpu_seconds == 3
    await subject.assert_clean()


async def test_a_job_is_charged_for_no_more_than_its_worker_worked() -> None:
    """Whatever else it waited for at Runpod."""
    subject = rig()
    [station] = subject.stations
    station.warmth = Warmth(base="https://api.runpod.test/v2/e1", workers=Workers(), clock=subject.clock)
    station.warmth.answered()
    slow = Gate()
    subject.transport.then(slow, FakeResponse(ANSWER))
    task = subject.start(FakeClient(request()))
    await slow.reached.wait()
    subject.clock.advance(3)
    [sent] = subject.transport.requests
    assert sent.journey is not None
    sent.journey.worked_seconds_max = 1.25
    slow.opened.set()
    assert (await subject.end_of(task)).gpu_seconds == 1.25
    assert station.meter.attributed == 1.25


async def test_a_key_may_be_used_as_anthropics_clients_send_it() -> None:
    """As ``x-api-key``."""
    subject = rig()
    subject.transport.then(FakeResponse(ANSWER))
    assert (await subject.serve(FakeClient(request()), key=None, headers=[(b"x-api-key", KEY)])).outcome == "ok"


async def test_fallbacks_that_the_key_may_not_use_are_left_out() -> None:
    """The failure is told instead."""
    subject = rig(
        token_tier(fallback=("reasoning",), retry=Retry(attempts=1)),
        token_tier("reasoning"),
        caller=replace(Caller(name="demo"), tiers=frozenset({"routing"})),
    )
    subject.transports["routing/0"].then(FakeResponse(b"busy", status=503))
    client = FakeClient(request())
    assert (await subject.serve(client)).attempts == 1
    assert client.status == 503
