"""What is refused of a head that was read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.front.rules import HOST, refuse_unclear
from gateway.wire.headers import Header

HOST_LINE: Header = (b"host", b"gateway:8080")


def check(
    *headers: Header, version: str = "1.1", target: bytes = b"/v1/models", upgrade: bool = False, host: bool = True
) -> None:
    refuse_unclear(version, target, [HOST_LINE, *headers] if host else headers, upgrade=upgrade)


def test_what_clients_send_passes() -> None:
    check()
    check((b"content-length", b"10"))
    check((b"transfer-encoding", b"CHUNKED"))
    check((b"upgrade", b"h2c"), upgrade=True)
    check((b"upgrade", b"h2c"), (b"content-length", b"0"), upgrade=True)
    check(target=b"http://gateway:8080/v1/models?a")
    check(target=b"HTTPS://gateway:8080")
    check(target=b"*")
    check(version="1.0", host=False)


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(InvalidRequest, match=f"HTTP/{version}"):
        check(version=version)


@pytest.mark.parametrize(
    "values", [[b"gzip"], [b"gzip, chunked"], [b"chunked", b"chunked"], [b"chunked, chunked"], [b""]]
)
def test_encodings_are_chunked_once_or_nothing(values: list[bytes]) -> None:
    with pytest.raises(InvalidRequest, match="chunked"):
        check(*[(b"transfer-encoding", value) for value in values])


def test_chunks_are_no_part_of_older_versions() -> None:
    with pytest.raises(InvalidRequest, match="chunked"):
        check((b"transfer-encoding", b"chunked"), version="1.0")


@pytest.mark.parametrize("framing", [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")])
def test_what_asks_for_another_protocol_has_no_body(framing: Header) -> None:
    """The parser would not read it, and take it for the other protocol."""
    with pytest.raises(InvalidRequest, match="upgrade"):
        check(framing, upgrade=True)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_more_than_one_host_is_refused(version: str) -> None:
    with pytest.raises(InvalidRequest, match="more than one host"):
        check(HOST_LINE, version=version)


def test_no_host_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no host"):
        check(host=False)


HOSTS = [b"a", b"a:1", b"a.b-c_d", b"127.0.0.1", b"[::1]", b"[::ffff:1.2.3.4]:65535", b"a:", b"%41", b"xn--a"]
NO_HOSTS = [
    b"",
    b":1",
    b"a/b",
    b"a?b",
    b"a#b",
    b"a@b",
    b"a b",
    b"a:b",
    b"a:123456",
    b"::1",
    b"[",
    b"[]",
    b"a\\b",
    b"\xff",
]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_a_host_that_names_none_is_refused(host: bytes) -> None:
    assert all(HOST.fullmatch(one) for one in HOSTS)
    with pytest.raises(InvalidRequest, match="host header is none"):
        check((b"host", host), host=False)


@pytest.mark.parametrize(
    "target",
    [
        b"http://other/",
        b"http://gateway",
        b"ftp://gateway:8080/",
        b"gateway:8080",
        b"http:/a",
        b"",
        b"http://a@gateway:8080/",
    ],
)
def test_a_target_that_is_no_path_names_the_same_host(target: bytes) -> None:
    """A proxy may have routed the request by one of them and the gateway would serve the other."""
    with pytest.raises(InvalidRequest, match="target"):
        check(target=target)


def test_a_fragment_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="fragment"):
        check(target=b"/v1/models#a")


@given(
    target=st.binary(max_size=12),
    host=st.binary(max_size=8),
    version=st.sampled_from(["1.0", "1.1"]),
    upgrade=st.booleans(),
)
def test_whatever_comes_it_passes_or_is_refused(target: bytes, host: bytes, version: str, upgrade: bool) -> None:
    """With nothing but the gateway's own error."""
    try:
        refuse_unclear(version, target, [(b"host", host)], upgrade=upgrade)
    except InvalidRequest:
        return
    assert HOST.fullmatch(host)
    assert target[:1] == b"/" or target == b"*" or host in target
