"""An answer whose body is there already."""

import pytest

from gateway.errors import UpstreamFailed
from gateway.upstream.whole_answer import WholeAnswer


def answer(body: bytes = b"body") -> WholeAnswer:
    return WholeAnswer(status=400, headers=((b"a", b"b"),), body=body)


async def test_its_body_is_read_once_in_one_piece() -> None:
    told = answer()
    assert not told.complete
    assert await told.chunk() == b"body"
    assert (told.complete, await told.chunk(), told.status, told.headers) == (True, b"", 400, ((b"a", b"b"),))


async def test_it_can_be_pumped_and_read_like_any_other() -> None:
    pieces: list[bytes] = []
    told = answer()
    await told.pump(lambda piece: not pieces.append(piece))  # type: ignore[func-returns-value]
    await told.pump(lambda piece: not pieces.append(piece))  # type: ignore[func-returns-value]
    assert pieces == [b"body"]
    assert await answer().read(4) == b"body"
    told.hurry(1.0)
    await told.aclose()


async def test_more_than_the_reader_wants_is_a_failure() -> None:
    with pytest.raises(UpstreamFailed, match="more than 3 bytes"):
        await answer().read(3)
