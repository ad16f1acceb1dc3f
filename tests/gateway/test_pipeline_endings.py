"""Requests that are cut short, at every place where a request can wait and in every way.

Whatever happens: the reservation is resolved once, the slot is free, the endpoint is left, one record remains.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest

from gateway.errors import UpstreamFailed, UpstreamTimeout
from tests.doubles.client import FakeClient
from tests.doubles.transport import EVENTS, FakeResponse, Gate, Hang
from tests.gateway.rig import BOUND_SECONDS, Rig, rig
from tests.gateway.samples import ANSWER, budget, request, token_tier
from tests.gateway.wire.samples import DONE, HELLO, ROLE, STOP
from tests.stores import eventually
from tiers.tiermap import Breaker, Queue, Retry, Timeouts

MONEY = (budget(), budget(unit="tokens", name="tokens"))
PROMPT = -(-len(request(stream=True)) // 4)
DEADLINE_SECONDS = 0.05


class Waiting:
    """A request that has come to one of the places where it waits."""

    def __init__(self, place: str, deadline: float = 600.0) -> None:
        self.place = place
        self.rig: Rig = rig(
            token_tier(slots=1, timeouts=Timeouts(total=deadline), queue=Queue(wait_seconds=600)), budgets=MONEY
        )
        self.client = FakeClient(request(stream=True)) if place != "body" else FakeClient(b"{", complete=False)
        if place == "whole":
            self.client = FakeClient(request())
        self.first = Gate()
        self.task: asyncio.Task[None]

    async def arrive(self) -> None:
        """Send the request and wait until it is there."""
        hang = Hang()
        transport = self.rig.transport
        match self.place:
            case "body":
                self.task = self.rig.start(self.client)
                await asyncio.sleep(0)
                return
            case "queue":
                transport.then(self.first, FakeResponse(ANSWER))
                self.rig.start(FakeClient(request()))
                await self.first.reached.wait()
                self.task = self.rig.start(self.client)
                await self.rig.queued(1)
                return
            case "reserve":
                self.rig.ledger.slow["reserve"] = hang
            case "head":
                transport.then(hang)
            case "whole":
                transport.then(FakeResponse(ANSWER[:9], hang))
            case "first event":
                transport.then(FakeResponse(ROLE[:9], hang, headers=EVENTS))
            case "stream":
                transport.then(FakeResponse(ROLE, HELLO, hang, headers=EVENTS))
            case "stalled client":
                transport.then(FakeResponse(ROLE, HELLO, STOP, DONE, headers=EVENTS))
                self.client.stall(after=2)
            case "settlement":
                transport.then(FakeResponse(ANSWER, headers=EVENTS), FakeResponse(ANSWER))
                self.client = FakeClient(request())
                self.rig.ledger.slow["settle"] = hang
        self.task = self.rig.start(self.client)
        if self.place == "stalled client":
            await self.client.got(3)
        else:
            async with asyncio.timeout(BOUND_SECONDS):
                await hang.reached.wait()

    async def assert_clean(self) -> None:
        """End the request that was in the way, if any, and look for remains."""
        self.first.opened.set()
        self.rig.ledger.slow.clear()
        for task in self.rig.tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self.rig.assert_clean()

    def resolution(self) -> str:
        """What became of the request's claim; empty where it took none."""
        mine = "req_2" if self.place == "queue" else "req_1"
        return dict(self.rig.ledger.resolved).get(mine, "")


PLACES = ("body", "reserve", "queue", "head", "whole", "first event", "stream", "stalled client")
RESOLUTIONS = {"body": "", "reserve": "", "queue": ""}
"""At all other places the endpoint may have worked: settled."""


@pytest.mark.parametrize("place", PLACES)
async def test_a_client_that_leaves_ends_its_request(place: str) -> None:
    """The endpoint is left at once, what it did is charged, nothing more is sent."""
    waiting = Waiting(place)
    await waiting.arrive()
    sent = len(waiting.client.sent)
    waiting.client.leave()
    async with asyncio.timeout(BOUND_SECONDS):
        await waiting.task
    await waiting.assert_clean()
    [record] = [one for one in waiting.rig.records if one.outcome != "ok"]
    assert (record.outcome, record.error, record.status) == ("disconnected", "client_disconnected", 499)
    assert len(waiting.client.sent) == sent
    assert waiting.resolution() == RESOLUTIONS.get(place, "settled")


@pytest.mark.parametrize("place", [*PLACES, "settlement"])
async def test_a_request_that_the_server_cancels_leaves_nothing_behind(place: str) -> None:
    """As when the time for draining is over. The cancellation goes on to who cancelled."""
    waiting = Waiting(place)
    await waiting.arrive()
    waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.task
    await waiting.assert_clean()
    [record] = [one for one in waiting.rig.records if one.outcome != "ok"]
    assert (record.outcome, record.error) == ("disconnected", "cancelled")
    assert waiting.resolution() == RESOLUTIONS.get(place, "settled")


@pytest.mark.parametrize("place", [place for place in PLACES if place != "body"])
async def test_the_deadline_ends_a_request_wherever_it_waits(place: str) -> None:
    """As 504, or as an error inside the stream where that has begun."""
    waiting = Waiting(place, deadline=DEADLINE_SECONDS)
    await waiting.arrive()
    if place == "stalled client":
        await waiting.client.got(4)
        waiting.client.read_on()
    async with asyncio.timeout(BOUND_SECONDS):
        await waiting.task
    assert waiting.client.error["code"] == "upstream_timeout"
    streaming = place in {"stream", "stalled client"}
    assert waiting.client.status == (200 if streaming else 504)
    assert waiting.client.is_complete()
    assert DONE not in waiting.client.body
    mine = "req_2" if place == "queue" else "req_1"
    await waiting.assert_clean()
    [record] = [one for one in waiting.rig.records if one.request_id == mine]
    assert (record.outcome, record.error, record.status) == ("timeout", "upstream_timeout", 504)
    assert waiting.resolution() == RESOLUTIONS.get(place, "settled")


@pytest.mark.parametrize(
    ("steps", "outcome", "code"),
    [
        ((ROLE, HELLO, UpstreamFailed("cut")), "upstream_error", "upstream_failed"),
        ((ROLE, HELLO, UpstreamTimeout("silent")), "timeout", "upstream_timeout"),
        ((ROLE, HELLO), "upstream_error", "upstream_failed"),
        ((ROLE, HELLO, b"data: {\n\n"), "upstream_error", "upstream_failed"),
        ((ROLE, HELLO, b'data: {"error":"dead"}\n\n'), "upstream_error", "upstream_failed"),
    ],
    ids=["cut", "silent", "ended early", "garbled", "error event"],
)
async def test_after_the_first_byte_there_is_no_fallback_but_an_error_inside_the_stream(
    steps: tuple[bytes | Exception, ...], outcome: str, code: str
) -> None:
    """What came is charged by the gateway's own count; the stream never looks complete."""
    subject = rig(token_tier(fallback=("reasoning",)), token_tier("reasoning"), budgets=MONEY)
    subject.transports["routing/0"].then(FakeResponse(*steps, headers=EVENTS))
    client = FakeClient(request(stream=True))
    record = await subject.serve(client)
    assert client.status == 200
    assert client.body.startswith(ROLE + HELLO)
    assert client.error["code"] == code
    assert client.is_complete()
    assert DONE not in client.body
    assert (record.outcome, record.error, record.attempts) == (outcome, code, 1)
    assert not record.usage_reported
    assert record.output_tokens >= 1
    assert (await subject.spent())["tokens"] == (PROMPT + record.output_tokens, 0)
    assert subject.transport.answered[0].closings == 1
    await subject.assert_clean()


async def test_a_second_cancellation_while_the_endpoint_is_left_changes_nothing() -> None:
    """The client leaves, the server cancels what takes too long: the reservation is settled all the same."""
    subject = rig(budgets=MONEY)
    hang, closing = Hang(), Hang()
    subject.transport.then(FakeResponse(ROLE, hang, headers=EVENTS, closing=closing))
    client = FakeClient(request(stream=True))
    task = subject.start(client)
    await hang.reached.wait()
    client.leave()
    await closing.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await subject.assert_clean()
    assert subject.ledger.resolved == [("req_1", "settled")]


async def test_a_store_that_falls_silent_before_the_settlement_gets_it_later() -> None:
    """The client has its answer; what it cost is booked as soon as the store answers again."""
    subject = rig(budgets=MONEY)
    subject.ledger.down = {"settle"}
    subject.transport.then(FakeResponse(ANSWER))
    client = FakeClient(request())
    assert (await subject.serve(client)).outcome == "ok"
    assert client.body == ANSWER
    assert subject.settler.unsettled == 1
    assert (await subject.spent())["money"][0] == 0
    subject.ledger.down = set()
    await subject.assert_clean()
    assert (await subject.spent())["money"] == (13, 0)


async def test_a_reservation_that_arrives_after_its_request_left_is_given_back() -> None:
    """The store took it, but nobody waited for the answer any more."""
    subject = rig(budgets=MONEY)
    late = subject.ledger.unanswered = Hang()
    client = FakeClient(request())
    task = subject.start(client)
    await late.reached.wait()
    client.leave()
    await task
    assert await subject.ledger.memory.slots_held(["routing"]) == {"routing": 1}
    await subject.assert_clean()
    assert subject.ledger.resolved == [("req_1", "released")]


async def test_the_slot_of_a_client_that_left_goes_to_the_next_in_the_queue() -> None:
    """At once, not after a timeout."""
    subject = rig(token_tier(slots=1, queue=Queue(wait_seconds=600)))
    hang = Hang()
    subject.transport.then(hang, FakeResponse(ANSWER))
    leaving = FakeClient(request())
    subject.start(leaving)
    await hang.reached.wait()
    waiting = subject.start(FakeClient(request()))
    await subject.queued(1)
    leaving.leave()
    await eventually(waiting.done)
    assert {record.outcome for record in subject.records} == {"ok", "disconnected"}
    await subject.assert_clean()


async def test_whoever_waits_for_a_slot_is_told_that_one_was_given_back() -> None:
    """By every ending, a failure's too: nobody need find out by asking from time to time."""
    subject = rig(token_tier(retry=Retry(attempts=1)))
    slot = subject.admission._slots["routing"]
    for answer in (FakeResponse(ANSWER), UpstreamFailed("broken"), FakeResponse(b"busy", status=503)):
        slot.freed_since = False
        subject.transport.then(answer)
        await subject.serve(FakeClient(request()))
        assert slot.freed_since
    await subject.assert_clean()


Ending = Callable[[FakeClient, "asyncio.Task[None]"], object]


@pytest.mark.parametrize(
    "end", [lambda client, _: client.leave(), lambda _, task: task.cancel()], ids=["leaves", "cancelled"]
)
async def test_one_that_gives_up_in_the_queue_lets_the_next_one_go_first(end: Ending) -> None:
    """The place at the head is handed on."""
    subject = rig(token_tier(slots=1, queue=Queue(wait_seconds=600)))
    busy = Gate()
    subject.transport.then(busy, FakeResponse(ANSWER), FakeResponse(ANSWER))
    first = subject.start(FakeClient(request()))
    await busy.reached.wait()
    impatient, patient = FakeClient(request()), FakeClient(request())
    giving_up = subject.start(impatient)
    await subject.queued(1)
    staying = subject.start(patient)
    await subject.queued(2)
    end(impatient, giving_up)
    await subject.queued(1)
    busy.opened.set()
    async with asyncio.timeout(BOUND_SECONDS):
        await asyncio.wait([first, giving_up, staying])
    assert patient.status == 200
    await subject.assert_clean()


async def one_fails(subject: Rig, how: str) -> None:
    """A request that ends badly, or well at last, as ``how`` says."""
    hang = Hang()
    match how:
        case "left":
            subject.transport.then(FakeResponse(ROLE, hang, headers=EVENTS))
        case "at last":
            subject.transport.then(*(FakeResponse(b"no", status=500) for _ in range(3)), FakeResponse(ANSWER))
        case "too long":
            subject.transport.then(FakeResponse(b'{"error":{"code":"context_length_exceeded"}}', status=400))
        case _:
            subject.transport.then(*(FakeResponse(b"no", status=500) for _ in range(4)))
    client = FakeClient(request(stream=how != "at last"))
    task = subject.start(client)
    if how == "left":
        await hang.reached.wait()
        client.leave()
    await task
    subject.tasks.clear()
    subject.records.clear()
    subject.transport.answered.clear()
    subject.transport.requests.clear()


def parts_of_requests() -> Counter[str]:
    """How many objects of each kind there are of which every request has its own."""
    kinds = {"AsgiClient", "Attempt", "Call", "Claim", "Exchange", "Flight"}
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one).__name__ in kinds)


@pytest.mark.parametrize("how", ["left", "refused", "too long", "at last"])
async def test_a_request_that_ends_badly_leaves_nothing_that_only_the_cycle_collector_frees(how: str) -> None:
    """It is spared, so what it would have to free would gather."""
    subject = rig(token_tier(breaker=Breaker(failures=100)))
    await one_fails(subject, how)  # the first makes what is kept for all
    gc.collect()
    gc.disable()
    try:
        before = parts_of_requests()
        await one_fails(subject, how)
        assert parts_of_requests() == before
    finally:
        gc.enable()
