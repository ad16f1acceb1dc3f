"""Requests of runs that bring bounds with them: nothing of a run is served after its deadline."""

import pytest

from gateway.errors import UpstreamTimeout
from gateway.wire.headers import Header
from tests.doubles.client import FakeClient
from tests.doubles.transport import EVENTS, FakeResponse, Gate, Hang
from tests.gateway.rig import Rig, rig
from tests.gateway.samples import ANSWER, budget, request, token_tier
from tests.gateway.wire.samples import HELLO, ROLE
from tiers.tiermap import Retry, Timeouts

MONEY = (budget(),)
SOON_SECONDS = 0.05


def ends_in(subject: Rig, seconds: float) -> list[Header]:
    """The headers of a run whose deadline is so far away."""
    moment = f"{subject.clock.unix() + seconds:.6f}".encode()
    return [(b"x-tiergate-run", b"r1"), (b"x-tiergate-run-deadline", moment)]


async def test_a_run_whose_deadline_has_passed_is_refused_before_anything_is_taken() -> None:
    """For good: no client tries a 403 again."""
    subject = rig(budgets=MONEY)
    client = FakeClient(request())
    record = await subject.serve(client, headers=ends_in(subject, -1))
    assert (client.status, client.error["code"]) == (403, "run_deadline_passed")
    assert client.error["param"] == "x-tiergate-run-deadline"
    assert "'r1'" in client.error["message"]
    assert client.headers[b"x-should-retry"] == b"false"
    assert (record.outcome, record.error, record.attempts) == ("client_error", "run_deadline_passed", 0)
    assert not subject.ledger.taken
    await subject.assert_clean()


async def test_a_bound_that_cannot_be_read_is_refused_by_name() -> None:
    subject = rig()
    client = FakeClient(request())
    await subject.serve(client, headers=[(b"x-tiergate-run-max-calls", b"7")])
    assert (client.status, client.error["code"]) == (400, "invalid_request")
    assert client.error["param"] == "x-tiergate-run-max-calls"


@pytest.mark.parametrize("before", [(), (FakeResponse(b"busy", status=503),)], ids=["first-try", "second-try"])
async def test_a_runs_deadline_bounds_the_request(before: tuple[FakeResponse, ...]) -> None:
    """All tries of it, in place of the tier's own time, and is what the client is told of."""
    subject = rig(token_tier(retry=Retry(attempts=3, backoff=0.01)), budgets=MONEY)
    subject.transport.then(*before, Hang())
    client = FakeClient(request())
    record = await subject.serve(client, headers=ends_in(subject, SOON_SECONDS))
    assert (client.status, client.error["code"]) == (403, "run_deadline_passed")
    assert record.attempts == 1 + len(before)
    await subject.assert_clean()


async def test_no_try_begins_after_a_runs_deadline() -> None:
    """Waiting for an endpoint to come back is no use then: its failure is told at once."""
    subject = rig(token_tier(retry=Retry(attempts=3, backoff=30.0, backoff_max=30.0)), budgets=MONEY)
    subject.transport.then(FakeResponse(b"busy", status=503))
    record = await subject.serve(FakeClient(request()), headers=ends_in(subject, 10))
    assert (record.error, record.attempts, subject.sleeps) == ("upstream_error", 1, [])
    await subject.assert_clean()


async def test_a_stream_ends_at_its_runs_deadline() -> None:
    """With an error event, and what it used is charged."""
    subject = rig(budgets=MONEY)
    subject.transport.then(FakeResponse(ROLE, HELLO, Hang(), headers=EVENTS))
    client = FakeClient(request(stream=True))
    record = await subject.serve(client, headers=ends_in(subject, SOON_SECONDS))
    assert client.status == 200
    assert client.body.startswith(ROLE + HELLO)
    assert b"run_deadline_passed" in client.body
    assert record.error == "run_deadline_passed"
    assert (await subject.spent())["money"][0] > 0
    await subject.assert_clean()


async def test_a_later_deadline_leaves_the_tiers_own() -> None:
    """Bounds of a run narrow and never widen."""
    subject = rig(token_tier(timeouts=Timeouts(total=SOON_SECONDS)))
    subject.transport.then(Hang())
    client = FakeClient(request())
    await subject.serve(client, headers=ends_in(subject, 1000))
    assert (client.status, client.error["code"]) == (504, "upstream_timeout")


async def test_who_notices_first_that_the_time_is_over_does_not_matter() -> None:
    """An endpoint's way may watch the same moment: its time-out is then the run's."""
    subject = rig()
    answering = Gate()
    subject.transport.then(answering, UpstreamTimeout("The job was not done in time."))
    client = FakeClient(request())
    task = subject.start(client, headers=ends_in(subject, 100))
    await answering.reached.wait()
    subject.clock.advance(100)
    answering.opened.set()
    await subject.end_of(task)
    assert (client.status, client.error["code"]) == (403, "run_deadline_passed")


async def test_a_run_that_keeps_its_deadline_notices_nothing_of_it() -> None:
    subject = rig(budgets=MONEY)
    subject.transport.then(FakeResponse(ANSWER))
    client = FakeClient(request())
    assert (await subject.serve(client, headers=ends_in(subject, 100))).outcome == "ok"
    assert client.body == ANSWER
