"""A load-balancing endpoint of Runpod, by what it answers."""

import asyncio
import json
import math

import pytest

from gateway.errors import UpstreamAnswered, UpstreamFailed, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from gateway.journey import Journey
from gateway.upstream.runpod_load_balancer import PAYLOAD_BYTES_MAX, RunpodLoadBalancer
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transport import UpstreamRequest
from gateway.upstream.warmth import Warmth
from gateway.wire.header_lines import HeaderLines
from tests.doubles.clock import ManualClock
from tests.doubles.transport import JSON, FakeResponse, FakeTransport, Gate, Hang
from tests.stores import eventually
from tiers.tiermap import Endpoint, Workers

TIMED_OUT = json.dumps({"status": 400, "title": "Bad Request", "detail": "timed out waiting for worker"}).encode()
NO_WORKERS = b'{"error":"no workers available"}'
WORKER = b"x-runpod-worker-id"
BY_W1 = (*JSON, (WORKER, b"w1"))
KEY = HeaderLines([(b"authorization", b"Bearer rpa_key")])


class Bed:
    """A load balancer whose answers are a script, and where retries wait no time to speak of."""

    def __init__(self, *script: FakeResponse | Exception | Hang, warm: bool = False, wait: float = 0.002) -> None:
        self.http = FakeTransport(*script)
        self.clock = ManualClock()
        times = RunpodTimes(balancer_wait=wait, grace=0.05)
        self.warmth = Warmth(
            base="https://api.runpod.test/v2/e", workers=Workers(), clock=self.clock, balanced=True, times=times
        )
        if warm:
            self.warmth.answered()
        self.journey = Journey()
        self.balancer = RunpodLoadBalancer(
            self.http,
            endpoint=Endpoint(name="routing/0", url="https://e.api.runpod.ai/v1", transport="runpod-load-balancer"),
            warmth=self.warmth,
            times=times,
            clock=self.clock,
            draw=lambda: 0.5,
        )

    def request(
        self, *, due: float = math.inf, affinity: bytes | None = None, wish: bytes | None = None, body: bytes = b"{}"
    ) -> UpstreamRequest:
        """A chat request, with the caller's own wish for a worker where there is one."""
        caller = HeaderLines([] if wish is None else [(WORKER, wish)])
        return UpstreamRequest(
            method=b"POST",
            path=b"/v1/chat/completions",
            headers=(caller, KEY),
            body=body,
            due=due,
            journey=self.journey,
            affinity=affinity,
        )

    def wishes(self) -> list[list[bytes]]:
        """Which workers each request that was sent asked for."""
        return [
            [value for lines in sent.headers for name, value in lines.fields if name == WORKER]
            for sent in self.http.requests
        ]


async def test_a_good_answer_of_a_warm_endpoint_is_returned_as_it_is() -> None:
    """The very object that came, with what the journey tells filled in."""
    answer = FakeResponse(b"{}", headers=BY_W1)
    bed = Bed(answer, warm=True)
    assert await bed.balancer.send(bed.request()) is answer
    journey = bed.journey
    assert (journey.way, journey.cold, journey.worker, journey.tries) == ("balancer", False, "w1", 1)
    assert answer.closings == 0


@pytest.mark.parametrize("body", [TIMED_OUT, NO_WORKERS])
async def test_a_cold_400_is_asked_again_until_a_worker_answers(body: bytes) -> None:
    bed = Bed(FakeResponse(body, status=400), FakeResponse(body, status=400), FakeResponse(b"{}", headers=BY_W1))
    answer = await bed.balancer.send(bed.request())
    assert (answer.status, bed.journey.tries, bed.journey.cold) == (200, 3, True)
    assert [each.closings for each in bed.http.answered] == [1, 1, 0]
    assert bed.warmth.ready


async def test_a_warm_endpoint_that_says_it_is_cold_is_believed_and_asked_again() -> None:
    gate = Gate()
    bed = Bed(FakeResponse(TIMED_OUT, status=400), gate, FakeResponse(b"{}"), warm=True)
    sending = asyncio.ensure_future(bed.balancer.send(bed.request()))
    await gate.reached.wait()
    assert bed.warmth.state == "waking"
    gate.opened.set()
    assert (await sending).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"timed out waiting for worker","type":"BadRequestError","code":400}}',
        b'{"object":"error","message":"no workers available","type":"BadRequestError","code":400}',
        b'{"detail":"The prompt says: timed out waiting for worker"}',
        b'["no workers available"]',
        b"no workers available, said the prompt",
    ],
)
async def test_a_400_of_vllm_passes_untouched(body: bytes) -> None:
    """Whatever the caller's words in it are."""
    bed = Bed(FakeResponse(body, status=400, headers=BY_W1))
    answer = await bed.balancer.send(bed.request())
    assert (answer.status, answer.headers, await answer.read(1000)) == (400, BY_W1, body)
    assert bed.warmth.ready, "its worker is named: one is awake"
    assert len(bed.http.requests) == 1


@pytest.mark.parametrize("status", [500, 503, 429, 401])
async def test_what_an_awake_server_refuses_is_not_sent_again(status: int) -> None:
    answer = FakeResponse(b"{}", status=status)
    bed = Bed(answer)
    assert await bed.balancer.send(bed.request()) is answer
    assert not bed.warmth.ready, "nobody said that it was a worker"


async def test_while_no_worker_is_awake_a_502_and_a_cut_connection_are_asked_again() -> None:
    bed = Bed(
        FakeResponse(b"", status=502),
        UpstreamFailed("cut"),
        UpstreamTimeout("no head"),
        FakeResponse(b"{}", headers=BY_W1),
    )
    assert (await bed.balancer.send(bed.request())).status == 200
    assert bed.journey.tries == 4


async def test_at_a_warm_endpoint_a_502_and_a_cut_connection_are_failures_like_any_other() -> None:
    """The gateway has a course for them: other endpoints, other tiers."""
    answer = FakeResponse(b"", status=502)
    bed = Bed(answer, UpstreamFailed("cut"), warm=True)
    assert await bed.balancer.send(bed.request()) is answer
    with pytest.raises(UpstreamFailed, match="cut"):
        await bed.balancer.send(bed.request())
    assert bed.warmth.doubted


async def test_an_endpoint_that_cannot_be_reached_is_not_waited_for() -> None:
    bed = Bed(UpstreamUnreachable("no connection"))
    with pytest.raises(UpstreamUnreachable, match="no connection"):
        await bed.balancer.send(bed.request())


async def test_at_its_deadline_a_request_that_no_worker_took_costs_nothing() -> None:
    """``UpstreamUnreachable``: what was reserved for it is released."""
    bed = Bed(FakeResponse(TIMED_OUT, status=400))
    with pytest.raises(UpstreamUnreachable, match=r"No worker of the endpoint routing/0 .* no worker came") as caught:
        await bed.balancer.send(bed.request(due=bed.clock.monotonic()))
    assert caught.value.retry_after_seconds is not None


async def test_what_the_balancer_keeps_waiting_ends_a_little_before_the_deadline() -> None:
    bed = Bed(Hang(), wait=0.1)
    bed.http.then(FakeResponse(b"{}"))
    due = bed.clock.monotonic() + 0.05
    with pytest.raises(UpstreamUnreachable, match="balancer kept it waiting"):
        await asyncio.wait_for(_until_over(bed, due), 5)


async def _until_over(bed: Bed, due: float) -> None:
    """Send a request, with the clock beyond its deadline once it is under way."""
    sending = asyncio.ensure_future(bed.balancer.send(bed.request(due=due)))
    await eventually(lambda: bool(bed.http.requests))
    bed.clock.advance(1.0)
    await sending


async def test_a_worker_that_came_meanwhile_may_have_had_the_request() -> None:
    """Then the deadline is a timeout: what it may have worked on is paid for."""
    bed = Bed(Hang(), wait=0.1)
    sending = asyncio.ensure_future(bed.balancer.send(bed.request(due=bed.clock.monotonic() + 0.05)))
    await eventually(lambda: bool(bed.http.requests))
    bed.warmth.answered()
    bed.clock.advance(1.0)
    with pytest.raises(UpstreamTimeout, match="before the request's deadline"):
        await asyncio.wait_for(sending, 5)


async def test_who_waits_is_off_as_soon_as_a_worker_is_awake() -> None:
    """An hour's wait ends when somebody else's request is answered."""
    bed = Bed(FakeResponse(NO_WORKERS, status=400), FakeResponse(b"{}"), wait=3600.0)
    sending = asyncio.ensure_future(bed.balancer.send(bed.request()))
    await eventually(lambda: bool(bed.http.answered and bed.http.answered[0].closings))
    bed.warmth.called()
    await asyncio.sleep(0)
    assert not sending.done()
    bed.warmth.answered()
    assert (await asyncio.wait_for(sending, 5)).status == 200


async def test_a_cut_by_the_edge_says_why() -> None:
    bed = Bed(FakeResponse(b"<html>", status=524), warm=True)
    with pytest.raises(UpstreamTimeout, match=r"524.*5\.5 minutes"):
        await bed.balancer.send(bed.request())
    assert bed.http.answered[0].closings == 1


async def test_a_body_over_thirty_megabytes_is_refused_before_it_is_sent() -> None:
    bed = Bed(warm=True)
    answer = await bed.balancer.send(bed.request(body=b" " * (PAYLOAD_BYTES_MAX + 1)))
    told = json.loads(await answer.read(10_000))
    assert (answer.status, told["error"]["code"], bed.http.requests) == (413, "body_too_large", [])


async def test_a_session_asks_for_the_worker_that_served_it_last() -> None:
    """Softly; others, and requests without a session, ask for none."""
    bed = Bed(*(FakeResponse(b"{}", headers=BY_W1) for _ in range(4)), warm=True)
    for affinity in (b"run", b"run", b"other", None):
        await bed.balancer.send(bed.request(affinity=affinity))
    assert bed.wishes() == [[], [b"w1"], [], []]


async def test_a_callers_own_wish_goes_before_the_sessions() -> None:
    bed = Bed(*(FakeResponse(b"{}", headers=BY_W1) for _ in range(2)), warm=True)
    await bed.balancer.send(bed.request(affinity=b"run"))
    await bed.balancer.send(bed.request(affinity=b"run", wish=b"strict w2"))
    assert bed.wishes() == [[], [b"strict w2"]]


@pytest.mark.parametrize("status", [400, 404])
async def test_a_worker_that_has_gone_is_forgotten_and_any_other_asked(status: int) -> None:
    gone = FakeResponse(b'{"error":"affinity_worker_gone"}', status=status)
    bed = Bed(FakeResponse(b"{}", headers=BY_W1), gone, FakeResponse(b"{}"), warm=True)
    await bed.balancer.send(bed.request(affinity=b"run"))
    assert (await bed.balancer.send(bed.request(affinity=b"run"))).status == 200
    assert bed.wishes() == [[], [b"w1"], []]


async def test_a_caller_that_insists_on_a_worker_that_has_gone_is_told_so() -> None:
    bed = Bed(FakeResponse(b'{"error":"affinity_worker_gone"}', status=404), warm=True)
    assert (await bed.balancer.send(bed.request(wish=b"strict w1"))).status == 404


async def test_leaving_while_an_errors_body_is_read_closes_its_connection() -> None:
    hang = Hang()
    answer = FakeResponse(hang, status=400)
    bed = Bed(answer)
    sending = asyncio.ensure_future(bed.balancer.send(bed.request()))
    await hang.reached.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert answer.closings == 1


async def test_an_error_whose_body_breaks_off_is_one_without_words() -> None:
    bed = Bed(FakeResponse(UpstreamFailed("broke"), status=404))
    answer = await bed.balancer.send(bed.request())
    assert (answer.status, await answer.read(10)) == (404, b"")


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [(200, b"", "warm"), (204, b"", "waking"), (502, b"", "waking"), (400, TIMED_OUT, "waking"), (404, b"", "waking")],
)
async def test_a_ping_wakes_whatever_is_answered(status: int, body: bytes, state: str) -> None:
    bed = Bed(FakeResponse(body, status=status))
    await bed.balancer.wake([KEY])
    [sent] = bed.http.requests
    assert (sent.method, sent.path, list(sent.headers)) == (b"GET", b"/ping", [KEY])
    assert bed.warmth.state == state


@pytest.mark.parametrize(("status", "error"), [(401, UpstreamRefused), (503, UpstreamAnswered)])
async def test_a_ping_that_was_refused_is_told(status: int, error: type[UpstreamFailed]) -> None:
    bed = Bed(FakeResponse(b"", status=status))
    with pytest.raises(error):
        await bed.balancer.wake([KEY])


async def test_a_ping_stays_open_while_the_worker_comes_and_ends_with_the_gateway() -> None:
    """Nobody has to wait for it: an operator's call is over after some seconds."""
    bed = Bed(Hang())
    await bed.balancer.wake([KEY])
    assert bed.warmth.state == "waking"
    await bed.balancer.aclose()
    assert bed.http.closed
