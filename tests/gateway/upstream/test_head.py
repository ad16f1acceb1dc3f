"""``gateway.upstream.head``."""

import pytest

from gateway.errors import UpstreamFailed
from gateway.upstream.head import HeadWriter
from gateway.upstream.transport import Headers, UpstreamRequest
from gateway.upstream.url import parse_address
from gateway.wire.header_lines import HeaderLines

ADDRESS = parse_address("http://h:9100/v1")


def written(headers: Headers = (), *, method: bytes = b"POST", path: bytes = b"/v1/models", body: bytes = b"") -> bytes:
    request = UpstreamRequest(method=method, path=path, headers=[HeaderLines(headers)], body=body)
    return HeadWriter(ADDRESS, keep_alive=True).write(request)


def test_a_head_has_the_host_of_the_url_and_the_length_of_the_body() -> None:
    assert written([(b"accept", b"*/*")], body=b"{}") == (
        b"POST /v1/models HTTP/1.1\r\nhost: h:9100\r\naccept: */*\r\ncontent-length: 2\r\n\r\n"
    )


def test_an_empty_body_has_a_length_too() -> None:
    assert b"\r\ncontent-length: 0\r\n\r\n" in written(method=b"GET")


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"host",
        b"content-length",
        b"expect",
    ],
)
def test_what_is_the_connections_own_is_never_passed_on(name: bytes) -> None:
    assert b"from-the-client" not in written([(name, b"from-the-client")])


def test_headers_that_connection_names_are_not_passed_on() -> None:
    head = written([(b"x-hop", b"1"), (b"x-end", b"2"), (b"connection", b"close, X-Hop")])

    assert b"x-hop" not in head
    assert b"x-end: 2\r\n" in head
    assert b"close" not in head


def test_without_keep_alive_the_endpoint_is_asked_to_close() -> None:
    request = UpstreamRequest(method=b"POST", path=b"/v1/x", headers=[], body=b"")

    head = HeadWriter(ADDRESS, keep_alive=False).write(request)

    assert b"\r\nconnection: close\r\n" in head


@pytest.mark.parametrize("value", [b"a\r\nx-b: c", b"a\nb", b"a\rb", b"a\0b", b"\r\n", b"a\r\n"])
def test_a_value_with_a_line_break_is_refused_and_not_shown(value: bytes) -> None:
    """A key read from a file with its line break is the likely case."""
    with pytest.raises(UpstreamFailed) as caught:
        written([(b"accept", b"*/*"), (b"authorization", b"Bearer sk-canary" + value)])

    assert "authorization" in caught.value.message
    assert "h:9100" in caught.value.message
    assert "sk-canary" not in caught.value.message


@pytest.mark.parametrize("name", [b"", b"Accept", b"x y", b"x:", b"x\r\ny", b"x\0", b"\xc3\xa4"])
def test_a_name_that_is_no_lower_case_token_is_refused(name: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="header name"):
        written([(name, b"v")])


@pytest.mark.parametrize("path", [b"/v1/a b", b"/v1/a\r\nx: y", b"/v1/a\0"])
def test_a_path_that_would_end_early_is_refused(path: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="method or path"):
        written(path=path)
