"""Signs of life to those who wait for a worker."""

import asyncio

from gateway.downstream import AsgiClient
from gateway.heartbeat import Heartbeats
from tests.doubles.client import FakeClient

EVERY = 0.02


def made(client: FakeClient) -> AsgiClient:
    return AsgiClient(client.receive, client.send)


async def test_who_waits_is_given_a_comment_now_and_then() -> None:
    """The first begins the answer, as a stream of events; none of them is an event."""
    double = FakeClient()
    heartbeat = Heartbeats(EVERY).watch(made(double), "routing")
    assert double.sent == []
    await double.got(4)
    await heartbeat.stop()
    assert double.status == 200
    assert double.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert double.headers[b"x-tiergate-tier"] == b"routing"
    assert double.headers[b"x-tiergate-waited"] == b"later"
    comments = double.body.split(b"\n\n")[:-1]
    assert len(comments) >= 2
    assert set(comments) == {b": waiting for a worker of the tier routing"}
    assert not double.is_complete()


async def test_after_its_end_nothing_comes() -> None:
    """The answer itself follows: a comment in the middle of one of its events would break it."""
    heartbeats, double = Heartbeats(EVERY), FakeClient()
    heartbeat = heartbeats.watch(made(double), "routing")
    await double.got(2)
    await heartbeat.stop()
    await heartbeat.stop()
    sent = len(double.sent)
    other = FakeClient()
    another = heartbeats.watch(made(other), "routing")
    await other.got(3)
    await another.stop()
    assert len(double.sent) == sent


async def test_who_does_not_wait_long_is_not_answered_yet() -> None:
    """What fails soon keeps its status."""
    double = FakeClient()
    heartbeat = Heartbeats(60).watch(made(double), "routing")
    await asyncio.sleep(EVERY)
    await heartbeat.stop()
    assert double.sent == []


async def test_a_client_that_does_not_read_is_not_written_to_again() -> None:
    """One comment waits for it, however long that takes."""
    heartbeats, double, witness = Heartbeats(EVERY), FakeClient(), FakeClient()
    double.stall(after=1)
    heartbeat, another = heartbeats.watch(made(double), "routing"), heartbeats.watch(made(witness), "routing")
    await witness.got(5)
    assert len(double.sent) == 2
    stopping = asyncio.get_running_loop().create_task(heartbeat.stop())
    await another.stop()
    assert not stopping.done()
    double.read_on()
    await stopping
    assert len(double.sent) == 2


async def test_one_that_was_given_signs_before_gets_the_next_at_once() -> None:
    """When its request waits a second time, somewhere else."""
    double = FakeClient()
    client = made(double)
    first = Heartbeats(EVERY).watch(client, "routing")
    await double.got(2)
    await first.stop()
    sent = len(double.sent)
    second = Heartbeats(0.5).watch(client, "reasoning")
    await double.got(sent + 1)
    await second.stop()
    assert double.body.endswith(b": waiting for a worker of the tier reasoning\n\n")
