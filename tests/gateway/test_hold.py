"""A request for which no worker is awake, on its whole way."""

from typing import Any

from tests.doubles.client import FakeClient
from tests.doubles.transport import EVENTS, FakeResponse, Gate, Hang
from tests.doubles.warmth import ManualWarmth, hope
from tests.gateway.rig import Rig, rig
from tests.gateway.samples import ANSWER, budget, request, token_tier
from tests.gateway.wire.samples import DONE, HELLO, ROLE, STOP, USAGE_CHUNK
from tests.stores import eventually
from tiers.tiermap import Queue, Retry, Tier, Timeouts

STREAM = (ROLE, HELLO, STOP, USAGE_CHUNK, DONE)
MONEY = (budget(),)


def asleep(*tiers: Tier, **warmth: Any) -> tuple[Rig, ManualWarmth]:  # noqa: ANN401 - any of ManualWarmth's
    """A rig whose first endpoint sleeps."""
    subject, sleeper = rig(*tiers, budgets=MONEY), ManualWarmth(**warmth)
    subject.stations[0].warmth = sleeper
    return subject, sleeper


async def test_the_first_goes_and_wakes_a_worker_the_others_wait_for_it() -> None:
    """Who waits holds no slot and no money; when the worker is awake all are served."""
    subject, warmth = asleep(token_tier(slots=5))
    slow = Gate()
    subject.transport.then(FakeResponse(slow, ANSWER), *[FakeResponse(ANSWER) for _ in range(4)])
    clients = [FakeClient(request()) for _ in range(5)]
    tasks = [subject.start(client) for client in clients]
    await eventually(lambda: len(subject.transport.requests) == 1 and warmth.waiting == 4)
    subject.clock.advance(30)
    warmth.wake(10)
    for task in tasks[1:]:
        await task
    assert [client.status for client in clients[1:]] == [200] * 4
    assert [record.runpod.held_seconds for record in subject.records if record.runpod is not None] == [30.0] * 4
    slow.opened.set()
    await tasks[0]
    assert clients[0].body == ANSWER
    assert warmth.under_way == 0
    await subject.assert_clean()


async def test_more_than_the_workers_take_at_once_wait_for_each_other_and_are_not_refused() -> None:
    """However short the tier's queue is: they have waited for the worker already."""
    subject, warmth = asleep(token_tier(slots=2, queue=Queue(length=0, wait_seconds=0)), worker_slots=2)
    subject.transport.then(*[FakeResponse(ANSWER) for _ in range(8)])
    clients = [FakeClient(request()) for _ in range(8)]
    tasks = [subject.start(client) for client in clients]
    warmth.wake(2)
    for task in tasks:
        await task
    assert [client.status for client in clients] == [200] * 8
    await subject.assert_clean()


async def test_a_stream_that_waits_is_given_signs_of_life_and_then_its_answer() -> None:
    """All of it in one stream of events."""
    subject, warmth = asleep()
    subject.transport.then(FakeResponse(Hang(), headers=EVENTS), FakeResponse(*STREAM, headers=EVENTS))
    first, client = FakeClient(request(stream=True)), FakeClient(request(stream=True))
    leading = subject.start(first)
    await eventually(lambda: bool(subject.transport.requests))
    task = subject.start(client)
    await client.got(3)
    subject.clock.advance(8)
    warmth.wake(10)
    record = await subject.end_of(task)
    comment = b": waiting for a worker of the tier routing\n\n"
    assert client.body.startswith(comment)
    waited, _, answer = client.body.replace(comment, b"").partition(b"\n\n")
    assert waited == b": waited hold=8.000"
    assert answer == ROLE + HELLO + STOP + DONE
    assert client.is_complete()
    assert (record.status, record.outcome) == (200, "ok")
    first.leave()
    await leading
    await subject.assert_clean()


async def test_what_is_refused_after_a_sign_of_life_is_told_inside_the_stream() -> None:
    """The head has gone: the endpoint's words come as an event, and no end marker."""
    subject, warmth = asleep()
    subject.transport.then(FakeResponse(Hang(), headers=EVENTS))
    said = b'{"error":{"message":"no such parameter","type":"BadRequestError","param":null,"code":400}}'
    subject.transport.then(FakeResponse(said, status=400))
    first, client = FakeClient(request(stream=True)), FakeClient(request(stream=True))
    leading = subject.start(first)
    await eventually(lambda: bool(subject.transport.requests))
    task = subject.start(client)
    await client.got(2)
    warmth.wake(10)
    record = await subject.end_of(task)
    assert client.error["message"] == "no such parameter"
    assert b"[DONE]" not in client.body
    assert record.status == 400
    first.leave()
    await leading
    await subject.assert_clean()


async def test_where_waiting_is_in_vain_the_next_tier_serves() -> None:
    """It has spilled over, as from a tier without a slot."""
    subject, warmth = asleep(token_tier("routing", fallback=("reasoning",)), token_tier("reasoning"))
    warmth.hope = hope(hopeless=True, reason="it may have no worker")
    subject.transports["reasoning/0"].then(FakeResponse(ANSWER))
    client = FakeClient(request())
    record = await subject.serve(client)
    assert (client.status, record.tier, record.reason) == (200, "reasoning", "spill-over")
    await subject.assert_clean()


async def test_without_another_tier_it_is_refused_with_the_time_to_come_back() -> None:
    """A 503, which the SDK tries again; never a 429."""
    subject, warmth = asleep()
    warmth.hope = hope(hopeless=True, reason="its workers crash")
    client = FakeClient(request())
    record = await subject.serve(client)
    assert (client.status, client.error["code"], record.error) == (503, "tier_cold", "tier_cold")
    assert client.headers[b"retry-after"] == b"45"
    assert subject.transport.requests == []
    await subject.assert_clean()


async def test_who_went_to_wake_a_worker_goes_to_the_next_tier_where_none_comes() -> None:
    """Its try is ended, and what it held is given back."""
    subject, warmth = asleep(token_tier("routing", fallback=("reasoning",)), token_tier("reasoning"))
    hanging = Hang()
    subject.transport.then(FakeResponse(hanging))
    subject.transports["reasoning/0"].then(FakeResponse(ANSWER))
    client = FakeClient(request())
    task = subject.start(client)
    await hanging.reached.wait()
    warmth.hope = hope(uncertain=True, reason="no capacity")
    warmth.wake(0)
    record = await subject.end_of(task)
    assert (client.status, record.tier, record.reason, record.attempts) == (200, "reasoning", "spill-over", 2)
    assert subject.stations[0].health.well
    assert warmth.under_way == 0
    await subject.assert_clean()


async def test_an_answer_that_has_begun_is_not_called_back() -> None:
    """Whatever is said of the endpoint meanwhile."""
    subject, warmth = asleep(token_tier("routing", fallback=("reasoning",)), token_tier("reasoning"))
    slow = Gate()
    subject.transport.then(FakeResponse(ROLE, HELLO, slow, STOP, USAGE_CHUNK, DONE, headers=EVENTS))
    client = FakeClient(request(stream=True))
    task = subject.start(client)
    await slow.reached.wait()
    warmth.hope = hope(hopeless=True)
    warmth.wake(0)
    slow.opened.set()
    record = await subject.end_of(task)
    assert (record.outcome, record.tier) == ("ok", "routing")
    await subject.assert_clean()


async def test_a_tier_may_prefer_another_one_to_waiting() -> None:
    """``cold: spill``; so does one whose worker is not expected before the deadline."""
    for tier, expected in (
        (token_tier("routing", fallback=("reasoning",), cold="spill"), hope(seconds=1)),
        (token_tier("routing", fallback=("reasoning",), timeouts=Timeouts(total=20)), hope(seconds=30)),
    ):
        subject, warmth = asleep(tier, token_tier("reasoning"))
        warmth.hope = expected
        subject.transports["reasoning/0"].then(FakeResponse(ANSWER))
        record = await subject.serve(FakeClient(request()))
        assert (record.tier, record.reason) == ("reasoning", "spill-over")
        await subject.assert_clean()


async def test_at_its_deadline_who_waited_is_told_that_no_worker_woke_up() -> None:
    """And that is no failure of the endpoint, which is asked again by the next one.

    The two are of two tiers on one endpoint, so that the one who waits is late first: it would be sent otherwise.
    """
    retry = Retry(attempts=1)
    subject, warmth = asleep(
        token_tier("reasoning", timeouts=Timeouts(total=0.6), retry=retry),
        token_tier("routing", timeouts=Timeouts(total=0.2), retry=retry),
    )
    subject.stations[1].warmth = warmth
    subject.transports["reasoning/0"].then(FakeResponse(Hang()))
    clients = [FakeClient(request(model="reasoning")), FakeClient(request(model="routing"))]
    tasks = [subject.start(client) for client in clients]
    for task in tasks:
        await task
    assert [client.status for client in clients] == [504, 503]
    assert (clients[1].error["code"], clients[1].headers[b"retry-after"]) == ("tier_cold", b"45")
    assert all(station.health.well for station in subject.stations)
    assert (warmth.waiting, warmth.under_way) == (0, 0)
    await subject.assert_clean()


async def test_who_leaves_while_waiting_is_forgotten() -> None:
    """Nothing is sent for it."""
    subject, warmth = asleep()
    subject.transport.then(FakeResponse(Hang()))
    first, second = FakeClient(request()), FakeClient(request())
    leading, task = subject.start(first), subject.start(second)
    await eventually(lambda: warmth.waiting == 1)
    second.leave()
    record = await subject.end_of(task)
    assert (record.outcome, warmth.waiting) == ("disconnected", 0)
    first.leave()
    await leading
    assert len(subject.transport.requests) == 1
    await subject.assert_clean()


async def test_who_is_awake_is_asked_at_once() -> None:
    """Without a wait and without a scout."""
    subject, warmth = asleep()
    warmth.wake(10)
    subject.transport.then(FakeResponse(ANSWER))
    record = await subject.serve(FakeClient(request()))
    assert record.runpod is not None
    assert (record.status, record.runpod.held_seconds) == (200, 0.0)
    assert warmth.under_way == 0
