"""One try to post to a webhook, over a real connection."""

from functools import partial

import pytest

from gateway.alerts.webhook import TIMEOUTS, Undelivered, post, webhooks_of
from gateway.errors import UpstreamUnreachable
from gateway.upstream.pool import HttpTransport
from gateway.upstream.transport import Transport
from tests.doubles.scripted_server import Close, Receive, ScriptedServer, Send
from tests.doubles.transport import FakeResponse, FakeTransport, Hang
from tests.tiers.samples import changed
from tiers.load import load
from tiers.tiermap import SecretReference, Timeouts

BODY = b'{"event":"budget.alert"}'
CONNECT = partial(HttpTransport, idle_max=0)
SECRET = "T0/B1/very-secret"


def answer(status: bytes, headers: bytes = b"", body: bytes = b"ok") -> Send:
    return Send(b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body))


@pytest.mark.parametrize(
    ("rest", "target"),
    [
        ("", b"/"),
        ("/", b"/"),
        ("/services/T0?sig=a%20b&c=d", b"/services/T0?sig=a%20b&c=d"),
        ("/v1/hook", b"/v1/hook"),
        ("/v1", b"/v1"),
        ("/hook/v1", b"/hook/v1"),
        ("?a=b", b"/?a=b"),
    ],
)
async def test_the_body_goes_where_the_url_says(rest: str, target: bytes) -> None:
    async with ScriptedServer([Receive(), answer(b"200 OK"), Close()]) as server:
        await post(f"http://127.0.0.1:{server.port}{rest}", BODY, CONNECT)
        [request] = server.requests
        assert request.startswith(b"POST %b HTTP/1.1\r\n" % target)
        assert b"content-type: application/json\r\n" in request
        assert request.endswith(b"\r\n\r\n" + BODY)
        await server.until(lambda: server.open == 0)


@pytest.mark.parametrize("status", [b"200 OK", b"202 Accepted", b"204 No Content"])
async def test_any_success_is_success(status: bytes) -> None:
    async with ScriptedServer([Receive(), answer(status, body=b"")]) as server:
        await post(f"http://127.0.0.1:{server.port}/", BODY, CONNECT)


async def test_success_counts_also_where_the_rest_of_the_answer_never_comes() -> None:
    head = Send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    async with ScriptedServer([Receive(), head, Close()]) as server:
        await post(f"http://127.0.0.1:{server.port}/", BODY, CONNECT)


@pytest.mark.parametrize("status", [b"400 Bad Request", b"404 Not Found", b"429 Too Many Requests", b"500 Oh"])
async def test_any_other_answer_is_none(status: bytes) -> None:
    async with ScriptedServer([Receive(), answer(status)]) as server:
        with pytest.raises(Undelivered, match=f"status {status[:3].decode()}"):
            await post(f"http://127.0.0.1:{server.port}/{SECRET}", BODY, CONNECT)


async def test_redirections_are_not_followed() -> None:
    """What is posted goes to nobody whom the tier map does not name."""
    async with ScriptedServer([Receive(), answer(b"200 OK")]) as other:
        moved = answer(b"307 Moved", b"location: http://127.0.0.1:%d/\r\n" % other.port)
        async with ScriptedServer([Receive(), moved]) as server:
            with pytest.raises(Undelivered, match="status 307"):
                await post(f"http://127.0.0.1:{server.port}/", BODY, CONNECT)
        assert other.accepted == 0


async def test_a_webhook_that_nobody_serves_says_so_without_its_secret() -> None:
    async with ScriptedServer([Receive()]) as server:
        port = server.port
    with pytest.raises(Undelivered, match="No connection") as caught:
        await post(f"http://127.0.0.1:{port}/{SECRET}", BODY, CONNECT)
    assert SECRET not in str(caught.value)


async def test_a_url_that_cannot_be_called_says_so_without_its_secret() -> None:
    with pytest.raises(Undelivered) as caught:
        await post(f"http://me:{SECRET}@a.test/", BODY, CONNECT)
    assert SECRET not in str(caught.value)


async def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.alerts.webhook.POST_SECONDS", 0.01)
    transport = FakeTransport(FakeResponse(Hang()))
    with pytest.raises(Undelivered, match="no answer within"):
        await post("http://a.test/", BODY, lambda *_: transport)
    assert [response.closings for response in transport.answered] == [1]


async def test_the_way_is_made_with_limits_and_is_closed_again() -> None:
    made: list[tuple[str, Timeouts]] = []
    transport = FakeTransport(UpstreamUnreachable("nobody"))

    def connect(base: str, timeouts: Timeouts) -> Transport:
        made.append((base, timeouts))
        return transport

    with pytest.raises(Undelivered, match="nobody"):
        await post("https://a.test:8443/x", BODY, connect)
    assert made == [("https://a.test:8443/v1", TIMEOUTS)]


def test_each_budget_with_alerts_has_its_url() -> None:
    """As it stands in the map, or as it was read; a rate limit of the same name has none."""
    text = changed("window: 1d", 'window: 1d, alerts: {at: 80%, webhook: "http://a.test/x"}').replace(
        "window: 1h", "window: 1h, alerts: {at: 80%, webhook: env:HOOK}"
    )
    hook = SecretReference("env", "HOOK")
    assert webhooks_of(load(text, file="tiers.yaml"), {hook: "http://b.test/y"}) == {
        ("reasoning-daily", "USD"): "http://a.test/x",
        ("per-agent", "tokens"): "http://b.test/y",
    }
