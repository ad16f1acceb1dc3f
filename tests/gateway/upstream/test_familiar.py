"""``gateway.upstream.familiar``, alone and inside ``Reception``."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.upstream.familiar import FamiliarHead
from gateway.upstream.reception import Reception

JSON = b"content-type: application/json\r\n"


def answer(body: bytes = b'{"a":1}', *, before: bytes = JSON, after: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n%b\r\n%b" % (status, before, len(body), after, body)


def fed(pieces: Sequence[bytes], familiar: FamiliarHead | None = None, *, bodyless: bool = False) -> tuple[object, ...]:
    """All that an answer is received as."""
    one = Reception(bodyless=bodyless, familiar=familiar)
    for piece in pieces:
        one.feed(piece)
    one.end()
    return (one.status, one.headers, one.head_done, one.complete, one.reusable, one.surplus, one.problem, one.touched,
            one.buffered, one.take())  # fmt: skip


def learnt(data: bytes) -> FamiliarHead:
    familiar = FamiliarHead()
    fed([data], familiar)
    return familiar


def test_a_head_that_came_before_is_not_parsed_again() -> None:
    """Whatever its body's length; its headers say the length that came."""
    familiar = learnt(answer())
    for body in (b"", b"{}", b'{"a":1}', b"x" * 100_000):
        found = familiar.read(answer(body))
        assert found == ([(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))], body)


@pytest.mark.parametrize(
    "data",
    [
        answer(before=b"content-type: text/plain\r\n"),
        answer(after=b"connection: close\r\n"),
        answer(status=b"500 Oops"),
        answer()[:-1],
        answer() + b"x",
        answer().replace(b"Content-Length: 7", b"Content-Length: +7"),
        answer().replace(b"Content-Length: 7", b"Content-Length: 7 "),
        answer().replace(b"Content-Length: 7", b"Content-Length: "),
        answer().replace(b"Content-Length: 7", b"Content-Length: 0000000007"),
        b"",
        b"HTTP/1.1",
    ],
)
def test_anything_else_is_parsed(data: bytes) -> None:
    assert learnt(answer()).read(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(),
        answer(status=b"404 Not Found"),
        answer(after=b"connection: close\r\n"),
        answer(after=b"content-length: 7\r\n"),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        answer() + b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_only_plain_whole_answers_are_learnt(data: bytes) -> None:
    assert learnt(data).read(data) is None


def test_the_answer_to_head_is_never_taken_for_a_whole_one() -> None:
    """Its length is another request's."""
    familiar = learnt(answer())
    assert fed([answer()], familiar, bodyless=True) == fed([answer()], bodyless=True)


def test_a_newer_head_takes_the_place_of_the_older() -> None:
    familiar = FamiliarHead()
    for second in range(3):
        data = answer(before=b"date: %d\r\n" % second)
        assert fed([data], familiar) == fed([data])
        assert familiar.read(data) is not None


def test_heads_that_all_differ_are_soon_not_learnt_any_more() -> None:
    familiar = FamiliarHead()
    for number in range(100):
        fed([answer(before=b"x-ray: %d\r\n" % number)], familiar)
    last = answer(before=b"x-ray: 100\r\n")
    fed([last], familiar)
    assert familiar.read(last) is None


HEADS = st.sampled_from(
    [JSON, b"x-a: 1\r\n", b"date: Mon\r\n", b"connection: close\r\n", b"content-length: 3\r\n", b""]
)
WIRES = st.one_of(
    st.builds(
        answer,
        st.binary(max_size=30),
        before=HEADS,
        after=HEADS,
        status=st.sampled_from([b"200 OK", b"200 OK", b"201 Created", b"204 No Content", b"304 Not Modified"]),
    ),
    st.binary(max_size=40).map(lambda data: b"HTTP/1.1 200 OK\r\n" + data),
    st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n" + answer(), answer() + answer(), answer()[:-3]]),
)


@given(wires=st.lists(st.tuples(WIRES, st.integers(0, 200)), min_size=1, max_size=8))
@example(wires=[(answer(b"one"), 200), (answer(b"other"), 200), (answer(b"other"), 20)])
def test_each_answer_is_received_as_if_it_came_first(wires: list[tuple[bytes, int]]) -> None:
    """Whatever came before it on its connection, and wherever it is split."""
    familiar = FamiliarHead()
    for data, at in wires:
        pieces = [piece for piece in (data[:at], data[at:]) if piece]
        assert fed(pieces, familiar) == fed(pieces)
