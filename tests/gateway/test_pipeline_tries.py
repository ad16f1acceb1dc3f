"""Requests that take more than one try: what the client sees, what is held meanwhile, and who is paid."""

import asyncio
import json
from typing import Any

import pytest

from gateway.errors import UpstreamFailed, UpstreamTimeout
from tests.doubles.client import FakeClient
from tests.doubles.transport import EVENTS, FakeResponse, Gate, Hang
from tests.gateway.rig import BOUND_SECONDS, Rig, rig
from tests.gateway.samples import ANSWER, budget, request, token_tier
from tests.gateway.wire.samples import DONE, HELLO, ROLE, STOP, USAGE_CHUNK, chunk
from tiers.backoff import PAD_SECONDS
from tiers.tiermap import Breaker, Endpoint, Queue, Retry, Tier, Timeouts

MONEY = (budget(), budget(unit="tokens", name="tokens"))
TOO_LONG = b'{"error": {"message":"maximum context length is 1000 tokens","code":"context_length_exceeded"}}'
PAIR = (
    Endpoint(name="routing/0", url="http://one.test/v1"),
    Endpoint(name="routing/1", url="http://two.test/v1"),
)
REST = chunk({"content": ", you"})


def busy(*headers: tuple[bytes, bytes]) -> FakeResponse:
    return FakeResponse(b"busy", status=503, headers=headers)


def streamed(*steps: bytes | Exception | Hang) -> FakeResponse:
    return FakeResponse(*steps, headers=EVENTS)


async def test_a_failed_try_is_repeated_at_the_only_endpoint() -> None:
    """Each try has a claim of its own; what failed costs nothing. The answer says that it was tried again."""
    subject = rig(budgets=MONEY)
    subject.transport.then(busy(), busy(), FakeResponse(ANSWER))
    client = FakeClient(request())
    record = await subject.serve(client)
    assert (client.status, client.body) == (200, ANSWER)
    assert client.headers[b"x-tiergate-reason"] == b"retry"
    assert (record.outcome, record.reason, record.attempts) == ("ok", "retry", 3)
    assert [charge.endpoint for charge in record.charges] == ["routing/0"]
    assert subject.sleeps == [0.1, 0.2]
    assert subject.ledger.resolved == [("req_1", "released"), ("req_1.2", "released"), ("req_1.3", "settled")]
    await subject.assert_clean()


async def test_a_retry_after_is_waited_for() -> None:
    """Not less, and the endpoint rests meanwhile."""
    subject = rig()
    subject.transport.then(busy((b"retry-after", b"2")), FakeResponse(ANSWER))
    assert (await subject.serve(FakeClient(request()))).reason == "retry"
    assert subject.sleeps == [2 + PAD_SECONDS + 0.1]


async def test_another_endpoint_of_the_tier_is_tried_without_a_wait() -> None:
    subject = rig(token_tier(endpoints=PAIR))
    subject.transports["routing/1"].then(UpstreamFailed("reset"))
    subject.transports["routing/0"].then(FakeResponse(ANSWER))
    record = await subject.serve(FakeClient(request()))
    assert (record.reason, record.endpoint, record.attempts) == ("retry", "routing/0", 2)
    assert not subject.sleeps
    await subject.assert_clean()


class Waiting:
    """A request that waits between two tries."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - any of Tier's fields
        self.asleep = asyncio.Event()
        self.rig: Rig = rig(token_tier(**fields), budgets=MONEY, sleep=self.sleep)
        self.rig.transport.then(busy())
        self.client = FakeClient(request())

    async def sleep(self, seconds: float) -> None:
        """Never ends."""
        del seconds
        self.asleep.set()
        await asyncio.get_running_loop().create_future()


async def test_while_it_waits_a_request_holds_nothing() -> None:
    """No slot, no budget; and a client that leaves ends the wait at once."""
    waiting = Waiting()
    task = waiting.rig.start(waiting.client)
    async with asyncio.timeout(BOUND_SECONDS):
        await waiting.asleep.wait()
    assert await waiting.rig.ledger.memory.slots_held(["routing"]) == {"routing": 0}
    assert await waiting.rig.spent() == {"money": (0, 0), "tokens": (0, 0)}
    waiting.client.leave()
    record = await waiting.rig.end_of(task)
    assert (record.outcome, record.attempts) == ("disconnected", 1)
    await waiting.rig.assert_clean()


async def test_the_deadline_ends_a_wait_between_tries() -> None:
    waiting = Waiting(timeouts=Timeouts(total=0.5), retry=Retry(backoff=0.1))
    record = await waiting.rig.serve(waiting.client)
    assert (waiting.client.status, record.error) == (504, "upstream_timeout")
    await waiting.rig.assert_clean()


async def test_an_endpoint_that_is_left_alone_takes_neither_slot_nor_budget() -> None:
    """The fallback serves; without one the client is told when to come again."""
    breaker = Breaker(failures=1)
    for fallback in (("reasoning",), ()):
        subject = rig(token_tier(fallback=fallback, breaker=breaker), token_tier("reasoning"))
        subject.stations[0].report(UpstreamFailed("broken"))
        if fallback:
            subject.transports["reasoning/0"].then(FakeResponse(ANSWER))
        client = FakeClient(request())
        record = await subject.serve(client)
        assert not subject.transports["routing/0"].requests
        if fallback:
            assert (record.reason, record.tier, record.attempts) == ("fallback", "reasoning", 2)
            assert subject.ledger.taken == {"req_1.2"}
        else:
            assert (client.status, client.error["code"]) == (503, "endpoints_unavailable")
            assert client.headers[b"retry-after"] == b"5"
            assert (record.tier, record.reason, record.outcome) == ("routing", "tier", "upstream_error")
            assert not subject.ledger.asked["reserve"]
        await subject.assert_clean()


async def test_whoever_waited_for_a_slot_does_not_ask_an_endpoint_that_failed_meanwhile() -> None:
    """The slot goes back unused."""
    subject = rig(token_tier(slots=1, queue=Queue(wait_seconds=600), breaker=Breaker(failures=1)))
    answering = Gate()
    subject.transport.then(answering, FakeResponse(b"broken", status=500))
    first = subject.start(FakeClient(request()))
    await answering.reached.wait()
    second = subject.start(FakeClient(request()))
    await subject.queued(1)
    subject.clock.advance(1)
    answering.opened.set()
    async with asyncio.timeout(BOUND_SECONDS):
        await asyncio.wait([first, second])
    assert [record.error for record in subject.records] == ["upstream_error", "endpoints_unavailable"]
    assert len(subject.transport.requests) == 1
    await subject.assert_clean()


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (FakeResponse(ANSWER), 0),
        (FakeResponse(TOO_LONG, status=400), 0),
        (FakeResponse(b"no", status=500), 1),
        (streamed(ROLE, HELLO, UpstreamFailed("cut")), 1),
        (UpstreamTimeout("silent"), 1),
    ],
    ids=["good", "too long", "broken", "broke off", "silent"],
)
async def test_an_endpoints_condition_hears_once_how_each_try_ended(
    answer: FakeResponse | Exception, failures: int
) -> None:
    """What broke off after a good beginning was a failure."""
    subject = rig(token_tier(retry=Retry(attempts=1)))
    subject.transport.then(answer)
    await subject.serve(FakeClient(request(stream=isinstance(answer, FakeResponse) and answer.headers == EVENTS)))
    assert len(subject.stations[0].health.circuit.failed_at) == failures


@pytest.mark.parametrize(("before", "silent", "failures"), [(0.0, 0.3, 1), (0.2, 0.1, 0)], ids=["long", "short"])
async def test_silence_up_to_the_deadline_is_a_failure_of_the_endpoint(
    before: float, silent: float, failures: int
) -> None:
    """Of one that had most of the time; not of one that was asked near its end."""
    subject = rig(token_tier(timeouts=Timeouts(total=0.3)))
    admitting, answering = Gate(), Hang()
    subject.ledger.slow["reserve"] = admitting
    subject.transport.then(answering)
    task = subject.start(FakeClient(request()))
    await admitting.reached.wait()
    subject.clock.advance(before)
    admitting.opened.set()
    await answering.reached.wait()
    subject.clock.advance(silent)
    assert (await subject.end_of(task)).error == "upstream_timeout"
    assert len(subject.stations[0].health.circuit.failed_at) == failures


async def test_a_client_that_loses_patience_says_nothing_of_the_endpoint() -> None:
    """Answers may take long."""
    subject = rig(token_tier(timeouts=Timeouts(total=40)))
    answering = Hang()
    subject.transport.then(answering)
    client = FakeClient(request())
    task = subject.start(client)
    await answering.reached.wait()
    subject.clock.advance(39)
    client.leave()
    assert (await subject.end_of(task)).outcome == "disconnected"
    assert not subject.stations[0].health.circuit.failed_at


def escalating(**fields: Any) -> Rig:  # noqa: ANN401 - any of Tier's fields
    """``routing`` holds 1000 tokens, ``long`` 5000; each has a budget of its own."""
    return rig(
        token_tier(**{"escalation": ("long",), **fields}),
        token_tier("long", context=5000),
        budgets=(
            budget(name="routing", kind="tier", pattern="routing"),
            budget(name="long", kind="tier", pattern="long"),
        ),
    )


async def test_what_the_endpoint_cannot_hold_goes_to_the_larger_tier() -> None:
    """After one try; who served is paid and named."""
    subject = escalating()
    subject.transports["routing/0"].then(FakeResponse(TOO_LONG, status=400))
    subject.transports["long/0"].then(FakeResponse(ANSWER))
    client = FakeClient(request())
    record = await subject.serve(client)
    assert (client.status, client.headers[b"x-tiergate-reason"]) == (200, b"escalation")
    assert (record.tier, record.reason, record.attempts) == ("long", "escalation", 2)
    assert await subject.spent() == {"routing": (0, 0), "long": (13, 0)}
    await subject.assert_clean()


async def test_what_surely_does_not_fit_goes_there_at_once() -> None:
    """As does what asks for it by header, in the one way or the other."""
    for body, headers, tier in (
        (request(max_tokens=1000), [], "long"),
        (request(), [(b"x-tiergate-escalate", b"True")], "long"),
        (request(), [(b"x-tiergate-escalate", b"false")], "routing"),
    ):
        subject = escalating()
        subject.transports[f"{tier}/0"].then(FakeResponse(ANSWER))
        record = await subject.serve(FakeClient(body), headers=headers)
        assert (record.tier, record.attempts) == (tier, 1)
        assert record.reason == ("escalation" if tier == "long" else "tier")


async def test_an_escalation_is_asked_for_in_known_words() -> None:
    client = FakeClient(request())
    await escalating().serve(client, headers=[(b"x-tiergate-escalate", b"perhaps")])
    assert (client.status, client.error["param"]) == (400, "x-tiergate-escalate")


async def test_what_fits_nowhere_is_the_callers_400_as_it_came() -> None:
    subject = escalating()
    subject.transports["routing/0"].then(FakeResponse(TOO_LONG, status=400))
    subject.transports["long/0"].then(FakeResponse(b'{"error":{"message":"maximum context length"}}', status=400))
    client = FakeClient(request())
    record = await subject.serve(client)
    assert (client.status, client.body) == (400, TOO_LONG)
    assert client.headers[b"x-tiergate-tier"] == b"routing"
    assert (record.outcome, record.status, record.cost_microdollars) == ("client_error", 400, 0)
    await subject.assert_clean()


async def test_a_spent_budget_is_served_by_the_cheaper_tier() -> None:
    """If its own allow it, and it is paid."""
    spent = budget(10, name="routing", kind="tier", pattern="routing")
    for own, tier in ((10_000, "cheap"), (1, "routing")):
        cheap = budget(own, name="cheap", kind="tier", pattern="cheap")
        subject = rig(token_tier(downgrade="cheap"), token_tier("cheap"), budgets=(spent, cheap))
        subject.transports["cheap/0"].then(FakeResponse(ANSWER))
        client = FakeClient(request())
        record = await subject.serve(client)
        if tier == "cheap":
            assert client.headers[b"x-tiergate-reason"] == b"downgrade"
            assert (record.tier, record.reason, record.attempts) == ("cheap", "downgrade", 2)
            assert await subject.spent() == {"cheap": (13, 0)}
        else:
            assert (client.status, client.error["code"]) == (402, "budget_too_small")
            assert "'routing'" in client.error["message"]
        await subject.assert_clean()


def continuing(**fields: Any) -> Tier:  # noqa: ANN401 - any of Tier's fields
    return token_tier(**{"endpoints": PAIR, "continue_streams": True, **fields})


async def test_a_broken_stream_is_continued_at_another_endpoint() -> None:
    """The client reads one answer; both who made it are paid, the second for what was missing."""
    subject = rig(continuing(), budgets=MONEY)
    subject.transports["routing/1"].then(streamed(ROLE, HELLO, UpstreamFailed("cut")))
    subject.transports["routing/0"].then(streamed(ROLE, REST, STOP, USAGE_CHUNK, DONE))
    client = FakeClient(request(stream=True))
    record = await subject.serve(client)
    assert client.body.startswith(ROLE + HELLO)
    assert client.body.endswith(DONE)
    assert client.body.count(b'"role"') == 1
    [sent] = subject.transports["routing/0"].requests
    assert json.loads(sent.body)["messages"][-1] == {"role": "assistant", "content": "Hello"}
    assert (record.outcome, record.reason, record.attempts) == ("ok", "continuation", 2)
    assert [charge.endpoint for charge in record.charges] == ["routing/1", "routing/0"]
    assert [name for name, how in subject.ledger.resolved if how == "settled"] == ["req_1", "req_1.2"]
    await subject.assert_clean()


async def test_a_continuation_that_is_refused_is_never_shown() -> None:
    """The client is told of the break."""
    subject = rig(continuing())
    subject.transports["routing/1"].then(streamed(ROLE, HELLO, UpstreamTimeout("fell silent")))
    subject.transports["routing/0"].then(FakeResponse(b'{"error":{"message":"no prefill"}}', status=400))
    client = FakeClient(request(stream=True))
    record = await subject.serve(client)
    assert client.error["message"] == "fell silent"
    assert b"prefill" not in client.body
    assert DONE not in client.body
    assert (record.outcome, record.error, record.attempts) == ("timeout", "upstream_timeout", 2)
    await subject.assert_clean()


async def test_a_stream_that_cannot_be_continued_ends_with_the_break() -> None:
    """As where tools are called: nothing else is asked."""
    subject = rig(continuing())
    subject.transports["routing/1"].then(streamed(ROLE, HELLO, UpstreamFailed("cut")))
    client = FakeClient(request(stream=True, tools=[{"type": "function"}]))
    record = await subject.serve(client)
    assert client.error["message"] == "cut"
    assert record.attempts == 1
    await subject.assert_clean()
