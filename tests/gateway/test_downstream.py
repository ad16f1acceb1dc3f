"""The client's side: its body, its presence, and what it is sent."""

import asyncio
import json

import pytest

from gateway.downstream import AsgiClient, Deadlines, Message, Presence, send_error
from gateway.errors import (
    BodyTooLarge,
    ClientDisconnected,
    GatewayError,
    RequestTooSlow,
    TierSaturated,
    UpstreamTimeout,
)
from gateway.wire.pace import BODY_SECONDS
from tests.doubles.client import FakeClient
from tests.doubles.transport import Gate, Hang

ID = (b"x-request-id", b"req_1")
BOUND_SECONDS = 5.0


def client_of(fake: FakeClient, *, declared: bytes | None = None) -> AsgiClient:
    client = AsgiClient(fake.receive, fake.send, declared=declared)
    client.headers.append(ID)
    return client


@pytest.mark.parametrize("pieces", [(b"",), (b"abc",), (b"a", b"b", b"c"), (b"ab", b"", b"c", b"")])
async def test_a_body_is_put_together(pieces: tuple[bytes, ...]) -> None:
    """In however many pieces it comes."""
    assert await client_of(FakeClient(*pieces)).body(3) == b"".join(pieces)


async def test_a_body_that_came_in_one_piece_is_not_copied() -> None:
    """It may be megabytes."""
    piece = b"a" * 1000
    assert await client_of(FakeClient(piece)).body(1000) is piece


@pytest.mark.parametrize("pieces", [(b"abcd",), (b"ab", b"cd"), (b"ab", b"cd", b"never read")])
async def test_a_body_is_bounded(pieces: tuple[bytes, ...]) -> None:
    """As soon as it is too large, not at its end; and the connection, on which the rest is coming, ends."""
    fake = FakeClient(*pieces, complete=False)
    client = client_of(fake)
    with pytest.raises(BodyTooLarge, match="more than 3 bytes") as caught:
        await client.body(3)
    await send_error(client, caught.value)
    assert fake.status == 413
    assert fake.headers[b"connection"] == b"close"


async def test_a_body_that_is_declared_too_large_is_not_read() -> None:
    """A declaration that is none is left to the server."""
    with pytest.raises(BodyTooLarge):
        await client_of(FakeClient(b"abc"), declared=b"4").body(3)
    assert await client_of(FakeClient(b"abc"), declared=b"3").body(3) == b"abc"
    assert await client_of(FakeClient(b"abc"), declared=b"none").body(3) == b"abc"


async def test_a_client_that_leaves_while_it_sends_is_gone() -> None:
    """There is no request then."""
    fake = FakeClient(b"ab", complete=False)
    fake.leave()
    with pytest.raises(ClientDisconnected):
        await client_of(fake).body(10)


async def test_a_whole_answer_has_its_length_and_the_headers_of_every_answer() -> None:
    """Those that were given at first and those that were added."""
    fake = FakeClient(b"")
    client = client_of(fake)
    client.headers.append((b"x-added", b"1"))
    await client.send_whole(201, [(b"content-type", b"text/plain")], b"hello")
    assert (fake.status, fake.body) == (201, b"hello")
    assert fake.headers == {
        b"content-type": b"text/plain",
        b"content-length": b"5",
        b"x-request-id": b"req_1",
        b"x-added": b"1",
    }
    assert fake.is_complete()
    assert client.responded


async def test_a_stream_is_sent_piece_by_piece() -> None:
    """Its length is not known."""
    fake = FakeClient(b"")
    client = client_of(fake)
    await client.start_stream(200, [])
    await client.send_piece(b"a")
    assert not fake.is_complete()
    await client.end_stream(b"b")
    assert (fake.body, fake.is_complete()) == (b"ab", True)
    assert b"content-length" not in fake.headers


async def test_an_error_before_the_answer_is_the_answer() -> None:
    """With its status and headers."""
    fake = FakeClient(b"")
    await send_error(client_of(fake), TierSaturated("Full.", retry_after_seconds=5))
    assert fake.status == 503
    assert fake.error["code"] == "tier_saturated"
    assert fake.headers[b"retry-after"] == b"5"
    assert fake.headers[b"x-request-id"] == b"req_1"


async def test_an_error_inside_a_stream_is_its_last_event() -> None:
    """The status has left long ago."""
    fake = FakeClient(b"")
    client = client_of(fake)
    await client.start_stream(200, [])
    await client.send_piece(b"data: 1\n\n")
    await send_error(client, GatewayError("Broken."))
    assert fake.body.startswith(b'data: 1\n\nevent: error\ndata: {"error":')
    assert json.loads(fake.body.split(b"data: ")[2])["error"]["message"] == "Broken."
    assert fake.is_complete()


async def test_after_an_answer_there_is_nothing_to_say() -> None:
    """Nor to a client that is gone."""
    fake = FakeClient(b"")
    client = client_of(fake)
    await send_error(client, ClientDisconnected("Gone."))
    assert fake.sent == []
    await client.send_whole(200, [], b"")
    await send_error(client, GatewayError("Broken."))
    await client.start_stream(200, [])
    await client.end_stream()
    sent = len(fake.sent)
    await send_error(client, GatewayError("Broken."))
    assert len(fake.sent) == sent


async def test_a_client_that_leaves_ends_what_is_done_for_it() -> None:
    """Whatever it waits for. Messages that say nothing are passed over."""
    fake = FakeClient(b"")
    client = client_of(fake)
    await client.body(10)
    fake.interrupt()
    hang = Hang()

    async def served() -> None:
        with client.present():
            await hang.wait()

    task = asyncio.ensure_future(served())
    await hang.reached.wait()
    fake.leave()
    with pytest.raises(ClientDisconnected):
        async with asyncio.timeout(BOUND_SECONDS):
            await task


async def test_what_is_done_in_time_is_done() -> None:
    """The watch ends with it, and a leaving after it means nothing."""
    fake = FakeClient(b"")
    client = client_of(fake)
    await client.body(10)
    tasks = asyncio.all_tasks()
    with client.present():
        await asyncio.sleep(0)
    fake.leave()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks


async def test_an_error_inside_passes_as_it_is() -> None:
    """Also one that comes in the moment in which the client leaves."""
    fake = FakeClient(b"")
    client = client_of(fake)
    await client.body(10)
    with pytest.raises(TierSaturated), client.present():
        raise TierSaturated("Full.")


async def test_a_cancellation_by_somebody_else_stays_one() -> None:
    """The server stops; nobody left."""
    fake = FakeClient(b"")
    client = client_of(fake)
    await client.body(10)
    hang = Hang()

    async def served() -> None:
        with client.present():
            await hang.wait()

    task = asyncio.ensure_future(served())
    await hang.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_both_at_once_are_a_cancellation() -> None:
    """Who cancelled must see that it worked."""
    fake = FakeClient(b"")
    client = client_of(fake)
    await client.body(10)
    hang, cleaning = Hang(), Hang()

    async def served() -> None:
        with client.present():
            try:
                await hang.wait()
            finally:
                await cleaning.wait()

    task = asyncio.ensure_future(served())
    await hang.reached.wait()
    fake.leave()
    await cleaning.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_deadline_ends_what_is_waited_for_with_its_own_error() -> None:
    """Only the first cause counts, and one that comes after the end means nothing."""
    presence = Presence()

    async def served() -> None:
        with presence:
            Deadlines().set(presence, 0.01, UpstreamTimeout, "Too late.")
            await Hang().wait()

    with pytest.raises(UpstreamTimeout, match="Too late"):
        await served()
    presence.interrupt(ClientDisconnected("Gone."))
    await asyncio.sleep(0)


async def test_the_first_cause_is_the_one_that_is_told() -> None:
    """A deadline that passes while a client's leaving is dealt with interrupts nothing more."""
    presence = Presence()
    hang, cleaning = Hang(), Gate()
    left = ClientDisconnected("Gone.")

    async def served() -> None:
        with presence:
            try:
                await hang.wait()
            finally:
                await cleaning.wait()

    task = asyncio.ensure_future(served())
    await hang.reached.wait()
    presence.interrupt(left)
    await cleaning.reached.wait()
    presence.interrupt(UpstreamTimeout("Too late."))
    cleaning.opened.set()
    with pytest.raises(ClientDisconnected) as caught:
        await task
    assert caught.value is left


def test_presence_is_of_a_task() -> None:
    """Outside of one there is nothing to cancel."""
    loop = asyncio.new_event_loop()
    outcome: list[BaseException] = []

    def step() -> None:
        try:
            Presence().__enter__()
        except RuntimeError as error:
            outcome.append(error)
        loop.stop()

    loop.call_soon(step)
    loop.run_forever()
    loop.close()
    assert "inside a task" in str(outcome[0])


class SkippingLoop(asyncio.SelectorEventLoop):
    """Its clock moves by as much as a test says, and not by itself."""

    skipped = 0.0

    def time(self) -> float:
        """Seconds that were skipped."""
        return self.skipped


class SlowClient:
    """Sends one byte of a body with each message, so many seconds after the last."""

    def __init__(self, loop: SkippingLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self.messages = 0

    async def receive(self) -> Message:
        """As ASGI's."""
        self._loop.skipped += self._seconds
        self.messages += 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x", "more_body": True}


@pytest.mark.parametrize(("seconds", "messages"), [(BODY_SECONDS + 1, 1), (1.0, int(BODY_SECONDS) + 1)])
def test_a_body_must_come_in_time(seconds: float, messages: int) -> None:
    """Neither a long gap nor bytes that trickle keep a request waiting; what is said of it ends the connection."""
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, SkippingLoop)
        slow, client = SlowClient(loop, seconds), FakeClient()
        with pytest.raises(RequestTooSlow) as caught:
            runner.run(AsgiClient(slow.receive, client.send).body(1000))
        assert slow.messages == messages
        runner.run(send_error(AsgiClient(slow.receive, client.send), caught.value))
    assert client.sent[0]["status"] == 408
    assert (b"connection", b"close") in client.sent[0]["headers"]
