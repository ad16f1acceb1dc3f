"""What the gateway says of a call's waiting is heard by that call, whichever way it is said."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import httpx
import pytest

from orchestrator.call_waits import COMMENT_BYTES_MAX, HEADER, CallWaits, current_waits, hear, hear_async, listening

SIGN = b": waiting for a worker of the tier routing\n\n"
EVENT = b'data: {"choices": []}\n\n'


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in these pieces, to either kind of client."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self.closings = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece

    def close(self) -> None:
        """Counted."""
        self.closings += 1

    async def aclose(self) -> None:
        """Counted."""
        self.closings += 1


def later(*pieces: bytes) -> httpx.Response:
    return httpx.Response(200, headers={HEADER: "later"}, stream=Pieces(pieces))


def heard(*responses: httpx.Response) -> CallWaits:
    """What one call is told by these answers, which are read to their ends."""
    with listening():
        for response in responses:
            hear(response)
            response.read()
        return current_waits()


def test_a_header_tells_each_part() -> None:
    waits = heard(httpx.Response(200, headers={HEADER: "queue=0.250, hold=8.000, worker=1.5, tries=2"}))
    assert waits == CallWaits(queue_seconds=0.25, hold_seconds=8.0, worker_seconds=1.5, tries_seconds=2.0)
    assert waits.whole == 11.75


def test_tries_of_one_call_add_up() -> None:
    told = [httpx.Response(503, headers={HEADER: "queue=10.000"}), httpx.Response(200, headers={HEADER: "queue=0.5"})]
    assert heard(*told) == CallWaits(queue_seconds=10.5)


@pytest.mark.parametrize("told", [None, "", "later on", "hold=", "hold=-1", "hold=1e9", "news=3.000", "hold = 3"])
def test_what_cannot_be_read_is_no_wait(told: str | None) -> None:
    """Nor does it break the call."""
    headers = {} if told is None else {HEADER: told}
    assert heard(httpx.Response(200, headers=headers)).whole == 0


@pytest.mark.parametrize(
    "pieces",
    [
        (SIGN, SIGN + b": waited hold=8.000\n\n" + EVENT),
        (SIGN + b": wai", b"ted hold=8.0", b"00\n", b"\n" + EVENT, EVENT),
    ],
    ids=["whole", "torn"],
)
async def test_a_stream_that_began_before_tells_in_a_comment(pieces: Sequence[bytes]) -> None:
    """And passes as it came, to either kind of client."""
    response = later(*pieces)
    assert heard(response) == CallWaits(hold_seconds=8.0)
    assert response.content == b"".join(pieces)
    with listening():
        response = later(*pieces)
        await hear_async(response)
        assert await response.aread() == b"".join(pieces)
        assert current_waits() == CallWaits(hold_seconds=8.0)


def test_what_an_answer_says_is_not_taken_for_the_gateways_word() -> None:
    """Comments that come after an event, and texts, are the endpoint's. A long search ends."""
    assert heard(later(SIGN + EVENT, b": waited hold=8.000\n\n")).whole == 0
    assert heard(later(b'data: ": waited hold=8.000"\n\n')).whole == 0
    assert heard(later(b": x\n" * COMMENT_BYTES_MAX, b": waited hold=8.000\n\n")).whole == 0


async def test_a_stream_that_is_listened_to_is_closed_as_any_other() -> None:
    body = Pieces([EVENT])
    with listening():
        response = httpx.Response(200, headers={HEADER: "later"}, stream=body)
        hear(response)
        response.close()
        response = httpx.Response(200, headers={HEADER: "later"}, stream=body)
        await hear_async(response)
        await response.aclose()
    assert body.closings == 2


async def test_calls_side_by_side_hear_their_own() -> None:
    """In tasks and in threads; outside of a call nobody listens."""
    told = {number: httpx.Response(200, headers={HEADER: f"hold={number}"}) for number in range(4)}

    async def task(number: int) -> float:
        with listening():
            await asyncio.sleep(0)
            await hear_async(told[number])
            await asyncio.sleep(0)
            return current_waits().whole

    in_tasks = asyncio.gather(*map(task, range(4)))
    in_threads = asyncio.gather(*(asyncio.to_thread(heard, told[number]) for number in range(4)))
    assert await in_tasks == [0, 1, 2, 3]
    assert [waits.whole for waits in await in_threads] == [0, 1, 2, 3]
    hear(told[3])
    assert current_waits() == CallWaits()
