import pytest

from gateway.front.answer_head import KEPT_BYTES_MAX, KEPT_MAX, AnswerHeads

JSON = (b"content-type", b"application/json")


def test_a_beginning_is_the_status_line_and_the_headers() -> None:
    assert AnswerHeads().beginning(404, [JSON, (b"x-a", b"1")]) == (
        b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\nx-a: 1\r\n"
    )
    assert AnswerHeads().beginning(299, []) == b"HTTP/1.1 299 \r\n"


@pytest.mark.parametrize("header", [(b"x-a", b"1\r\nx-b: 2"), (b"x-a", b"1\n"), (b"x\r", b"1"), (b"x-a", b"\0")])
def test_a_header_that_would_be_read_as_something_else_is_left_out(header: tuple[bytes, bytes]) -> None:
    """The first time and every other."""
    heads = AnswerHeads()
    for _ in range(2):
        assert heads.beginning(200, [header, JSON]) == heads.beginning(200, [JSON])


def test_what_differs_is_written_anew() -> None:
    """Status, names, values and their order; however many there are, and however long."""
    heads = AnswerHeads()
    other = (b"x-a", b"1")
    for number in range(3 * KEPT_MAX):
        assert heads.beginning(200, [JSON, (b"x-a", b"%d" % number)]).endswith(b"\r\nx-a: %d\r\n" % number)
    assert heads.beginning(200, [JSON, other]) != heads.beginning(201, [JSON, other])
    assert heads.beginning(200, [JSON, other]) != heads.beginning(200, [other, JSON])
    long = b"a" * KEPT_BYTES_MAX
    assert heads.beginning(200, [(b"x-a", long)]) == heads.beginning(200, [(b"x-a", long)])
    assert long in heads.beginning(200, [(b"x-a", long)])
