"""Clients that want to fool the gateway, over raw sockets: each gets its 4xx or a closed connection, in time.

Beside all of them a good client asks on and on; it is never failed, and each attack sees it get more answers. What
endpoints see is what the double in their place saw: no request that was hidden in another one ever gets there.
"""

import contextlib
import json
from collections.abc import Iterator

import pytest

from gateway.front.head import HEAD_BYTES_MAX
from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.raw_client import SteadyClient, connected, heard, say
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

FILES = 400
"""The gateway's limit of open files: it may have (400 - 256) / 2 connections."""
CONNECTIONS = 72
STEADY, OPEN, HIDDEN = "steady", "open-words", "hidden-words"


def ask(words: str) -> bytes:
    """A chat's body."""
    return json.dumps({"model": "quick", "messages": [{"role": "user", "content": words}]}).encode()


AUTHORIZED = b"authorization: Bearer " + KEY.encode() + b"\r\n"
HOST = b"host: gateway\r\n"
CLOSE = b"connection: close\r\n"
LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"


def post(
    words: str = OPEN, *, line: bytes = LINE, lines: bytes = HOST, length: bytes | None = None, body: bytes = b""
) -> bytes:
    """A chat request whose parts may be bent."""
    body = body or ask(words)
    length = b"content-length: %d\r\n" % len(body) if length is None else length
    return line + lines + AUTHORIZED + length + b"\r\n" + body


SMUGGLED = post(HIDDEN, lines=HOST + CLOSE)
AT_ONCE = b"0\r\n\r\n" + SMUGGLED
"""As a body: for a reader of chunks it ends at once and a request follows, for one who counts it is all body."""
CHUNKED = b"transfer-encoding: chunked\r\n"
COUNTED = b"content-length: %d\r\n" % len(AT_ONCE)
WHOLE = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ask(OPEN)), ask(OPEN))


def bent(lines: bytes, body: bytes = AT_ONCE) -> bytes:
    """A request with these framing headers before ``body``."""
    return post(length=lines, body=body)


def chunks(body: bytes) -> bytes:
    """A chunked request with this body as it is sent."""
    return post(length=CHUNKED, body=body)


REFUSED = {
    "length and chunks": bent(COUNTED + CHUNKED),
    "chunks and length": bent(CHUNKED + COUNTED),
    "two lengths": bent(b"content-length: 0\r\n" + COUNTED),
    "the same length twice": bent(COUNTED + COUNTED),
    "list of lengths": bent(b"content-length: %d, %d\r\n" % (len(AT_ONCE), len(AT_ONCE))),
    "length with a plus": bent(b"content-length: +0\r\n", SMUGGLED),
    "negative length": bent(b"content-length: -1\r\n", SMUGGLED),
    "length with an underscore": bent(b"content-length: 1_0\r\n", SMUGGLED),
    "length in Arabic digits": bent("content-length: \u0660\r\n".encode(), SMUGGLED),
    "endless length": bent(b"content-length: 18446744073709551616\r\n", SMUGGLED),
    "chunked twice": bent(CHUNKED + CHUNKED),
    "identity, chunked": bent(b"transfer-encoding: identity, chunked\r\n"),
    "chunked, identity": bent(b"transfer-encoding: chunked, identity\r\n" + COUNTED),
    "xchunked": bent(b"transfer-encoding: xchunked\r\n" + COUNTED),
    "vertical tab before chunked": bent(b"transfer-encoding: \x0bchunked\r\n" + COUNTED),
    "quoted chunked": bent(b'transfer-encoding: "chunked"\r\n' + COUNTED),
    "space before the colon": bent(b"transfer-encoding : chunked\r\n" + COUNTED),
    "tab before the colon": bent(b"content-length\t: 0\r\n", SMUGGLED),
    "folded encoding": bent(b"transfer-encoding:\r\n chunked\r\n" + COUNTED),
    "folded header": post(lines=HOST + b"x-folded: a\r\n b\r\n"),
    "bare LF": bent(b"x: y\ntransfer-encoding: chunked\r\n" + COUNTED),
    "bare LFs throughout": post(lines=HOST + CLOSE).replace(b"\r\n", b"\n"),
    "bare CR": bent(b"x: y\rtransfer-encoding: chunked\r\n" + COUNTED),
    "NUL in a value": post(lines=HOST + b"x: a\0b\r\n"),
    "NUL in a name": bent(b"transfer-encoding\0: chunked\r\n" + COUNTED),
    "header without a colon": post(lines=HOST + b"x\r\n"),
    "header without a name": post(lines=HOST + b": x\r\n"),
    "white space first": post(lines=b" " + HOST),
    "chunk size that overflows": chunks(b"1" + b"0" * 16 + b"\r\n" + SMUGGLED),
    "chunk size in hexadecimal notation": chunks(b"0x0\r\n\r\n" + SMUGGLED),
    "chunk size with a sign": chunks(b"+0\r\n\r\n" + SMUGGLED),
    "negative chunk size": chunks(b"-1\r\n\r\n" + SMUGGLED),
    "chunk size that is none": chunks(b"\r\n" + SMUGGLED),
    "chunk without its line break": chunks(b"2\r\n{}X\r\n0\r\n\r\n" + SMUGGLED),
    "bare LF in chunks": chunks(b"0\n\n" + SMUGGLED),
    "bare LF in a chunk's extension": chunks(b"0;a\nb\r\n\r\n" + SMUGGLED),
    "extensions without end": chunks(b"1;" + b"a" * 300_000),
    "many extensions": chunks((b"1;" + b"a" * 2_000 + b"\r\n \r\n") * 100),
    "trailers without end": chunks(b"0\r\n" + b"x: y\r\n" * 50_000),
    "no host": post(lines=b""),
    "two hosts": post(lines=HOST + b"host: other\r\n"),
    "the same host twice": post(lines=HOST + HOST),
    "empty host": post(lines=b"host:\r\n"),
    "host with a path": post(lines=b"host: gateway/v1\r\n"),
    "host with a user": post(lines=b"host: a@gateway\r\n"),
    "host with a space": post(lines=b"host: gate way\r\n"),
    "host with a port that is none": post(lines=b"host: gateway:http\r\n"),
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/0.9 with its version": post(line=LINE.replace(b"1.1", b"0.9")),
    "HTTP/1.2": post(line=LINE.replace(b"1.1", b"1.2")),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
    "HTTP/2's version": post(line=LINE.replace(b"1.1", b"2.0")),
    "chunks in HTTP/1.0": post(line=LINE.replace(b"1.1", b"1.0"), length=CHUNKED, body=AT_ONCE),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 100,
    "another host in the target": post(line=b"POST http://other/v1/chat/completions HTTP/1.1\r\n"),
    "another scheme in the target": post(line=b"POST ftp://gateway/v1/chat/completions HTTP/1.1\r\n"),
    "relative target": post(line=b"POST v1/chat/completions HTTP/1.1\r\n"),
    "fragment in the target": post(line=b"POST /v1/chat/completions#a HTTP/1.1\r\n"),
    "space in the target": post(line=b"POST /v1/chat/completions /x HTTP/1.1\r\n"),
    "NUL in the target": post(line=b"POST /v1/chat\0/completions HTTP/1.1\r\n"),
    "CONNECT": b"CONNECT other:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "method that is none": post(line=LINE.replace(b"POST", b"POST/")),
    "lower-case method": post(line=LINE.replace(b"POST", b"post")),
    "upgrade with a body": post(lines=HOST + b"connection: upgrade\r\nupgrade: h2c\r\n", body=SMUGGLED),
    "nothing but garbage": b"\xff\xfe" * 1_000,
}
"""Each is answered with one 400 and closed; nothing of it reaches an endpoint."""

BAD_BODIES = {
    "empty": b" ",
    "deep lists": b'{"model":"quick","messages":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"model":"quick","messages":[],"x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
    "deep and open": b"[" * 1_000_000,
    "deep in what is read": b'{"model":"quick","stream_options":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
    "model twice": b'{"model":"quick","model":"quick","messages":[]}',
    "model twice, once escaped": b'{"model":"quick","mod\\u0065l":"quick","messages":[]}',
    "model twice, escaped first": b'{"\\u006dodel":"quick","messages":[],"model":"quick"}',
    "invalid UTF-8": b'{"model":"qu\xffick","messages":[]}',
    "UTF-16": '{"model":"quick","messages":[]}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"model":"quick","messages":[]}',
    "overlong UTF-8": b'{"model":"\xc0\xafquick","messages":[]}',
    "two values": ask(OPEN) + ask(HIDDEN),
    "trailing comma": b'{"model":"quick","messages":[],}',
    "comment": b'{"model":"quick",/* */"messages":[]}',
    "not a number": b'{"model":"quick","messages":[],"max_tokens":NaN}',
    "number without end": b'{"model":"quick","messages":[],"max_tokens":' + b"9" * 100_000 + b"}",
    "model without end": b'{"model":"' + b"m" * 900_000 + b'","messages":[]}',
    "control characters": b'{"model":"quick\n","messages":[]}',
}
"""Each is answered with 400 on the connection that stays; nothing of it reaches an endpoint."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIUpstream]:
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def small_gateway(
    tmp_path_factory: pytest.TempPathFactory, gateway_python: str, upstream: OpenAIUpstream
) -> Iterator[GatewayProcess]:
    """A gateway that may open few files."""
    directory = tmp_path_factory.mktemp("hostile")
    limited = directory / "limited-python"
    limited.write_text(f'#!/bin/sh\nulimit -n {FILES}\nexec {gateway_python} "$@"\n')
    limited.chmod(0o755)
    with GatewayProcess(
        directory,
        tier_map({"quick": tier(upstream.url, ROUTING_MODEL)}),
        key=KEY,
        python=str(limited),
        environment=ENVIRONMENT,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def good(small_gateway: GatewayProcess) -> Iterator[SteadyClient]:
    """The good client beside."""
    with SteadyClient(small_gateway.port, KEY, ask(STEADY)).asking() as client:
        yield client
    assert client.failures == []


@pytest.fixture
def gateway(small_gateway: GatewayProcess, upstream: OpenAIUpstream, good: SteadyClient) -> Iterator[GatewayProcess]:
    """After each attack the good client goes on, and nothing hidden was seen."""
    upstream.forget()
    yield small_gateway
    good.goes_on()
    assert seen(upstream, HIDDEN) == 0


def seen(upstream: OpenAIUpstream, words: str) -> int:
    """How many requests with these words the endpoint got."""
    return sum(words.encode() in post.body for post in upstream.posts)


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_is_not_clear_is_refused_and_nothing_of_it_is_served(
    gateway: GatewayProcess, upstream: OpenAIUpstream, name: str
) -> None:
    told = say(gateway.port, REFUSED[name])
    assert told.closed
    assert (told.statuses, told.code) == ([400], "invalid_request")
    assert seen(upstream, OPEN) == 0


@pytest.mark.parametrize("name", ["two lengths", "length and chunks", "two hosts", "HTTP/0.9", "nothing but garbage"])
def test_it_is_refused_after_a_good_one_too(gateway: GatewayProcess, upstream: OpenAIUpstream, name: str) -> None:
    """Sent ahead of the good one's answer, which comes first and whole."""
    told = say(gateway.port, post() + REFUSED[name])
    assert told.closed
    assert told.statuses == [200, 400]
    assert seen(upstream, OPEN) == 1


def test_what_follows_a_request_that_ends_its_connection_is_not_read(
    gateway: GatewayProcess, upstream: OpenAIUpstream
) -> None:
    """Nor is what follows the end of one in chunks, or one without a body that has some."""
    for request in (
        post(lines=HOST + CLOSE) + SMUGGLED,
        post(lines=HOST + CLOSE, length=CHUNKED, body=WHOLE + SMUGGLED),
        post(line=LINE.replace(b"1.1", b"1.0")) + SMUGGLED,
    ):
        upstream.forget()
        told = say(gateway.port, request)
        assert (told.closed, told.statuses) == (True, [200])
        assert seen(upstream, OPEN) == 1


def test_a_body_that_looks_like_a_request_is_a_body(gateway: GatewayProcess) -> None:
    told = say(gateway.port, post(lines=HOST + CLOSE, body=SMUGGLED))
    assert (told.closed, told.statuses) == (True, [400])


def test_a_trailer_is_no_header(gateway: GatewayProcess) -> None:
    """A key in one would pass a proxy that takes keys out of headers."""
    request = LINE + HOST + CLOSE + CHUNKED + b"\r\n" + WHOLE[:-2] + AUTHORIZED + b"\r\n"
    assert say(gateway.port, request).statuses == [401]


def test_what_is_odd_but_clear_is_served(gateway: GatewayProcess, upstream: OpenAIUpstream) -> None:
    """Being strict must not turn good clients away."""
    requests = [
        post(line=b"POST http://gateway/v1/chat/completions HTTP/1.1\r\n", lines=HOST + CLOSE),
        post(lines=b"host: [::1]:8080\r\n" + CLOSE),
        post(lines=b"host: gateway.example.com:\r\n" + CLOSE),
        post(lines=HOST + CLOSE, length=CHUNKED.replace(b"chunked", b"Chunked"), body=WHOLE),
        post(lines=HOST + CLOSE, length=CHUNKED, body=b"0000" + WHOLE.replace(b"\r\n", b";a=b\r\n", 1)),
        b"\r\n\r\n" + post(lines=HOST + CLOSE),
        post(line=LINE.replace(b"1.1", b"1.0"), lines=b""),
        post(lines=HOST + CLOSE + b"x-large: " + b"a" * 60_000 + b"\r\n"),
        post(lines=HOST + CLOSE + b"upgrade: h2c\r\n"),
    ]
    for number, request in enumerate(requests, start=1):
        told = say(gateway.port, request)
        assert (told.closed, told.statuses) == (True, [200]), request[:200]
        assert seen(upstream, OPEN) == number


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_is_bad_json_is_400(gateway: GatewayProcess, upstream: OpenAIUpstream, name: str) -> None:
    answer = gateway.call("POST", "/v1/chat/completions", BAD_BODIES[name])
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert len(answer.body) < 2_000
    assert all(STEADY.encode() in post.body for post in upstream.posts)


def test_identity_with_line_breaks_is_refused(gateway: GatewayProcess, upstream: OpenAIUpstream) -> None:
    """Neither the log nor an endpoint gets a line that the caller wrote."""
    for value in ("a%0d%0ax-injected: 1", "a%0a{}", "a%00", "%1b[2J", "a%e2%80%a8b", "a" * 300):
        told = say(gateway.port, post(lines=HOST + CLOSE + b"x-tiergate-run: " + value.encode() + b"\r\n"))
        assert (told.statuses, told.code) == ([400], "invalid_request")
    assert seen(upstream, OPEN) == 0
    assert "x-injected" not in gateway.log()


@pytest.mark.parametrize(
    ("first", "more"),
    [(LINE + HOST + b"x: ", b"a" * 8192), (LINE + HOST, b"x: y\r\n" * 1000), (b"GET /", b"a" * 8192)],
    ids=["one header", "many headers", "target"],
)
def test_a_head_without_end_is_431(gateway: GatewayProcess, first: bytes, more: bytes) -> None:
    """Soon after 64 KiB, however much more is sent."""
    told = say(gateway.port, first, *[more] * (4 * HEAD_BYTES_MAX // len(more)))
    assert told.closed
    assert (told.statuses, told.code) == ([431], "head_too_large")


def test_line_breaks_without_end_are_no_request(gateway: GatewayProcess) -> None:
    told = say(gateway.port, *[b"\r\n" * 4096] * 40)
    assert (told.closed, told.statuses) == (True, [431])


def test_a_body_that_is_expected_to_be_too_large_is_not_asked_for(gateway: GatewayProcess) -> None:
    """With ``expect: 100-continue`` the answer comes in place of the go-ahead; so does that to a wrong key."""
    head = LINE + HOST + b"expect: 100-continue\r\n"
    large = head + AUTHORIZED + b"content-length: 99999999999\r\n\r\n"
    told = say(gateway.port, large)
    assert (told.closed, told.statuses, told.code) == (True, [413], "body_too_large")
    nobody = head + CLOSE + b"content-length: 100\r\n\r\n"
    assert say(gateway.port, nobody).statuses == [401]
    with connected(gateway.port) as near:
        near.sendall(head + CLOSE + AUTHORIZED + b"content-length: %d\r\n\r\n" % len(ask(OPEN)))
        assert near.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        near.sendall(ask(OPEN))
        assert heard(near).statuses == [200]


@pytest.mark.parametrize("what", ["plain", "others"])
def test_a_flood_of_requests_sent_ahead_is_served_in_turn(gateway: GatewayProcess, what: str) -> None:
    """One after the other and no faster than they are answered; the client that sends them harms nobody else."""
    one = post(body=b"[]") if what == "plain" else b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    last = one.replace(HOST, HOST + CLOSE)
    told = say(gateway.port, one * 400 + last)
    assert told.closed
    assert told.statuses == [400 if what == "plain" else 200] * 401


def test_slow_heads_and_bodies_harm_nobody(gateway: GatewayProcess, good: SteadyClient) -> None:
    """Half of all connections that there may be wait for what never comes; how long they may: test_guarded.py."""
    with contextlib.ExitStack() as stack:
        for number in range(CONNECTIONS // 2):
            near = stack.enter_context(connected(gateway.port))
            near.sendall((post()[:-1], LINE + HOST, chunks(b"2\r\n{"), b"", b"P")[number % 5])
        good.goes_on(20)
        assert gateway.ready()


def test_connections_beyond_the_bound_are_refused_and_those_within_are_not(
    gateway: GatewayProcess, upstream: OpenAIUpstream, good: SteadyClient
) -> None:
    """With 503 and its reason; there is room again as soon as others leave."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connected(gateway.port)) for _ in range(CONNECTIONS + 40)]
        refused = [heard(near, 2.0) for near in held[CONNECTIONS:]]
        assert [one.statuses for one in refused] == [[503]] * 40
        assert {(one.closed, one.code) for one in refused} == {(True, "gateway_full")}
        assert say(gateway.port, post()).statuses == [503]
        good.goes_on(10)
        held[0].sendall(post(lines=HOST + CLOSE))
        assert heard(held[0]).statuses == [200]
    assert seen(upstream, OPEN) == 1
    gateway.wait_until(lambda: say(gateway.port, post(lines=HOST + CLOSE)).statuses == [200])
    assert gateway.ready()
