"""``gateway.upstream.reception``."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.reception import HEAD_BYTES_MAX, HEADERS_MAX, Reception

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: Chunked\r\n\r\n"
ANSWERS = {
    "length": (OK + b"Content-Length: 11\r\nX-Empty:\r\nX-Two:  b \r\n\r\nhello world", b"hello world"),
    "no body": (OK + b"content-length: 0\r\n\r\n", b""),
    "chunked": (CHUNKED + b'5;ext=1;q="a b"\r\nhello\r\n6\r\n world\r\n0\r\n\r\n', b"hello world"),
    "trailers": (
        CHUNKED + b"b\r\nhello world\r\n0\r\nX-Late: 1\r\nX-Sum: 99\r\n\r\n",
        b"hello world",
    ),
    "after informational": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        + OK
        + b"content-length: 2\r\n\r\nok",
        b"ok",
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", b""),
    "binary": (OK + b"content-length: 256\r\n\r\n" + bytes(range(256)), bytes(range(256))),
}


def received(pieces: Sequence[bytes], *, bodyless: bool = False) -> Reception:
    reception = Reception(bodyless=bodyless)
    for piece in pieces:
        reception.feed(piece)
    return reception


@pytest.mark.parametrize("name", ANSWERS)
def test_where_the_reads_are_split_makes_no_difference(name: str) -> None:
    """Every split in two, and every byte alone."""
    data, body = ANSWERS[name]
    splits = [(data[:at], data[at:]) for at in range(1, len(data))]
    whole = received([data])

    for pieces in [*splits, [bytes([byte]) for byte in data]]:
        reception = received(pieces)
        assert reception.complete
        assert reception.reusable
        assert not reception.surplus
        assert (reception.status, reception.headers) == (whole.status, whole.headers)
        assert reception.take() == body
        assert reception.buffered == 0


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_cut_anywhere_is_a_problem_and_never_complete(name: str) -> None:
    data, _ = ANSWERS[name]
    for at in range(len(data)):
        reception = received([data[:at]] if at else [])
        assert not reception.complete
        reception.end()
        assert not reception.complete
        assert reception.problem.startswith("closed the connection")


@given(data=st.data())
def test_any_split_of_a_chunked_answer_gives_the_same_body(data: st.DataObject) -> None:
    bodies = data.draw(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
    wire = CHUNKED + b"".join(b"%x;n\r\n%b\r\n" % (len(part), part) for part in bodies) + b"0\r\nt: x\r\n\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=12)))

    reception = received([wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)])

    assert reception.complete
    assert reception.take() == b"".join(bodies)


@given(pieces=st.lists(st.binary(max_size=60), max_size=6), start=st.sampled_from([b"", OK, CHUNKED]))
def test_garbage_is_a_problem_and_never_an_exception(pieces: list[bytes], start: bytes) -> None:
    reception = received([start, *pieces] if start else pieces)
    reception.end()

    assert reception.complete or reception.problem


def test_names_are_lower_cased_and_order_and_repeats_are_kept() -> None:
    reception = received([OK + b"B: 2\r\nA: 1\r\nB: 3\r\ncontent-length: 0\r\n\r\n"])

    assert reception.headers == [(b"b", b"2"), (b"a", b"1"), (b"b", b"3"), (b"content-length", b"0")]


@pytest.mark.parametrize("name", ["trailers", "after informational"])
def test_trailers_and_informational_headers_are_not_among_the_headers(name: str) -> None:
    assert len(received([ANSWERS[name][0]]).headers) == 1


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    reception = received([OK + b"\r\nhel", b"lo"])

    reception.end()
    assert reception.complete
    assert not reception.reusable
    assert reception.take() == b"hello"


def test_the_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    reception = received([OK + b"content-length: 5\r\n\r\n"], bodyless=True)

    assert reception.complete
    assert reception.reusable


@pytest.mark.parametrize("extra", [b"hello", b"HTTP/1.1 200 OK\r\n"])
def test_a_body_after_the_answer_to_head_is_surplus(extra: bytes) -> None:
    reception = received([OK + b"content-length: 5\r\n\r\n" + extra], bodyless=True)

    assert reception.complete
    assert reception.surplus
    assert reception.take() == b""


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("extra", [b"x", OK, OK + b"content-length: 1\r\n\r\ny"])
@pytest.mark.parametrize("close", [b"", b"connection: close\r\n"])
def test_what_follows_an_answer_is_surplus_and_not_its_body(together: bool, extra: bytes, close: bytes) -> None:
    answer = OK + close + b"content-length: 2\r\n\r\nok"

    reception = received([answer + extra] if together else [answer, extra])

    assert reception.complete
    assert reception.surplus
    assert reception.take() == b"ok"


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n", True),
    ],
)
def test_the_endpoint_says_whether_the_connection_may_be_used_again(head: bytes, reusable: bool) -> None:
    reception = received([head + b"content-length: 0\r\n\r\n"])

    assert reception.complete
    assert reception.reusable is reusable


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 000 None\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nx",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"content-length: -1\r\n\r\n",
        OK + b"transfer-encoding: gzip\r\n\r\nabc",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"x\r\n",
        CHUNKED + b"3\r\nabcd\r\n",
        OK + b"a: b\0c\r\n\r\n",
        OK + b"a: b\r\n c\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_problem(data: bytes) -> None:
    reception = received([data])

    assert reception.problem
    assert not reception.complete
    reception.end()
    assert not reception.complete


@pytest.mark.parametrize("size", [1_000, 1_000_000])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OK + b"a: " + b"b" * HEAD_BYTES_MAX, id="one header without end"),
        pytest.param(OK + b"a: %b\r\n\r\n" % (b"b" * HEAD_BYTES_MAX), id="one long header"),
        pytest.param(OK + b"a: b\r\n" * (HEADERS_MAX + 1) + b"\r\n", id="many headers"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" * 3_000, id="informational answers without end"),
        pytest.param(CHUNKED + b"3;" + b"e" * 2 * HEAD_BYTES_MAX, id="an extension without end"),
        pytest.param(CHUNKED + b"0\r\n" + b"t: u\r\n" * 30_000, id="trailers without end"),
    ],
)
def test_a_head_and_framing_have_a_limit(data: bytes, size: int) -> None:
    reception = received([data[start : start + size] for start in range(0, len(data), size)])

    assert f"more than {HEAD_BYTES_MAX} bytes" in reception.problem


def test_many_small_chunks_are_no_framing_without_end() -> None:
    reception = received([CHUNKED, *[b"1\r\nx\r\n"] * 20_000, b"0\r\n\r\n"])

    assert reception.complete
    assert len(reception.take()) == 20_000


def test_a_large_body_in_one_read_with_its_head_is_no_large_head() -> None:
    body = b"x" * 3 * HEAD_BYTES_MAX

    assert received([OK + b"content-length: %d\r\n\r\n%b" % (len(body), body)]).take() == body


def test_the_end_is_only_told_once() -> None:
    reception = received([b"garbage\r\n\r\n"])
    problem = reception.problem

    reception.end()
    reception.feed(b"more")

    assert reception.problem == problem
    assert reception.surplus
