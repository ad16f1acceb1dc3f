import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.store.resp import NOTHING, command, error_of, reader, unavailable


def test_a_command_is_packed_with_its_lengths_in_bytes() -> None:
    """Text as UTF-8, integers in digits."""
    assert command("SET", b"k\r\n", "é", -12) == b"*4\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n\xc3\xa9\r\n$3\r\n-12\r\n"


def test_replies_are_bytes_numbers_nulls_lists_and_errors() -> None:
    """A null is a reply; an incomplete one is not."""
    parser = reader()
    parser.feed(b"+OK\r\n:-5\r\n$-1\r\n*2\r\n$1\r\na\r\n:1\r\n-NOSCRIPT no\r\n$3\r\nab")
    assert [parser.gets() for _ in range(4)] == [b"OK", -5, None, [b"a", 1]]
    assert isinstance(parser.gets(), NoScriptError)
    assert parser.gets() is NOTHING
    parser.feed(b"c\r\n")
    assert parser.gets() == b"abc"


def test_what_is_no_reply_is_refused() -> None:
    """As from a web server."""
    parser = reader()
    parser.feed(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(InvalidResponse):
        parser.gets()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ERR unknown command", ResponseError),
        ("WRONGTYPE no", ResponseError),
        ("NOSCRIPT no", NoScriptError),
        ("WRONGPASS no", AuthenticationError),
        ("LOADING yet", BusyLoadingError),
        ("", ResponseError),
    ],
)
def test_errors_have_redis_pys_classes(text: str, kind: type[RedisError]) -> None:
    """By their first word, and all their words stay."""
    error = error_of(text)
    assert type(error) is kind
    assert str(error) == text


def test_a_caller_is_told_whether_the_store_answered() -> None:
    """A refusal will not pass in a second; a lost connection may."""
    refused = unavailable(ResponseError("OOM"), keeps="records")
    assert refused.message == "The store that keeps records refused a command (ResponseError: OOM)."
    assert refused.retry_after_seconds == 5.0
    away = unavailable(RedisConnectionError("gone"), keeps="records")
    assert "cannot be reached or does not answer" in away.message
    assert away.retry_after_seconds == 1.0
