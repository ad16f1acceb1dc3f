"""How the gateway asks whether an endpoint is well again."""

import asyncio

import msgspec
import pytest

from gateway.errors import UpstreamFailed, UpstreamUnreachable
from gateway.upstream.probe import Probe, probe_of
from gateway.upstream.transport import Transport
from gateway.wire.header_lines import HeaderLines
from tests.doubles.transport import FakeResponse, FakeTransport, Hang
from tests.gateway.samples import token_tier
from tiers.tiermap import Breaker, Endpoint, Tier, TransportKind
from tiers.warmth import Sample

KEY = HeaderLines([(b"authorization", b"Bearer sk")])
RUNPOD = "https://api.runpod.ai/v2/abc123/openai/v1"
JOBS = {"completed": 1, "failed": 0, "inProgress": 0, "inQueue": 0, "retried": 0}


def answer(status: int = 200, body: bytes = b"{}") -> FakeResponse:
    return FakeResponse(body, status=status)


@pytest.mark.parametrize(
    ("url", "breaker", "asked"),
    [
        ("http://a.test/v1", Breaker(probe="auto"), ("http://a.test/v1", b"/v1/models")),
        ("http://a.test/v1", Breaker(probe="health"), ("http://a.test/v1", b"/health")),
        (RUNPOD, Breaker(probe="auto"), ("https://api.runpod.ai/v2/abc123", b"/health")),
        (RUNPOD, Breaker(probe="health"), ("https://api.runpod.ai/v2/abc123", b"/health")),
        (RUNPOD, Breaker(probe="models"), (RUNPOD, b"/v1/models")),
        ("http://a.test/v1", Breaker(probe="none"), None),
    ],
)
async def test_it_is_asked_what_its_tier_says(url: str, breaker: Breaker, asked: tuple[str, bytes] | None) -> None:
    """With its own key; over its own connections, unless it is Runpod that is asked."""
    ways: dict[str, FakeTransport] = {url: FakeTransport(answer())}

    def connect(endpoint: Endpoint, tier: Tier) -> Transport:
        assert tier.breaker is breaker
        return ways.setdefault(endpoint.url, FakeTransport(answer()))

    endpoint = Endpoint(name="a", url=url)
    tier = token_tier(endpoints=(endpoint,), breaker=breaker)
    probe = probe_of(endpoint, tier, ways[url], KEY, connect)
    if asked is None:
        assert probe is None
        return
    assert probe is not None
    assert await probe.ask()
    [request] = ways[asked[0]].requests
    assert (request.method, request.path, request.body, list(request.headers)) == (b"GET", asked[1], b"", [KEY])
    assert [response.closings for response in ways[asked[0]].answered] == [1]


@pytest.mark.parametrize(
    ("transport", "url", "path"),
    [
        ("runpod-queue", "https://api.runpod.ai/v2/abc123", b"/openai/v1/models"),
        ("runpod-load-balancer", "https://abc123.api.runpod.ai/v1", b"/v1/models"),
    ],
)
async def test_where_runpods_models_are_wanted_they_are_asked_for_over_plain_http(
    transport: TransportKind, url: str, path: bytes
) -> None:
    """An endpoint's own transport would make a job of it, or wait until a worker is awake."""
    endpoint = Endpoint(name="a", url=url, transport=transport)
    tier = token_tier(endpoints=(endpoint,), breaker=Breaker(probe="models"))
    plain = FakeTransport(answer())
    probe = probe_of(endpoint, tier, FakeTransport(), KEY, lambda *_: plain)
    assert probe is not None
    assert await probe.ask()
    assert [request.path for request in plain.requests] == [path]


def test_litellm_is_not_probed() -> None:
    endpoint = Endpoint(name="a", url="", transport="litellm")
    tier = token_tier(endpoints=(endpoint,), breaker=Breaker(probe="models"))
    assert probe_of(endpoint, tier, FakeTransport(), KEY, lambda *_: FakeTransport()) is None


async def test_what_runpod_says_of_workers_is_passed_on() -> None:
    """A probe is a look like any other."""
    heard: list[Sample] = []
    body = msgspec.json.encode({"jobs": JOBS, "workers": {"throttled": 2}})
    assert not await Probe("runpod", FakeTransport(answer(body=body)), [], heard=heard.append).ask()
    assert heard == [Sample(throttled=2)]


@pytest.mark.parametrize(
    ("status", "well"), [(200, True), (401, True), (404, True), (429, True), (500, False), (503, False)]
)
async def test_what_answers_is_well_unless_it_says_that_it_is_not(status: int, well: bool) -> None:
    """A server that knows no models, or wants another key, is there; the next requests tell more."""
    assert await Probe("models", FakeTransport(answer(status)), []).ask() is well
    assert await Probe("runpod", FakeTransport(answer(status)), []).ask() is well


@pytest.mark.parametrize("error", [UpstreamUnreachable("refused"), UpstreamFailed("reset")])
async def test_what_does_not_answer_is_not_well(error: Exception) -> None:
    """Neither to the request nor in the middle of the answer."""
    assert not await Probe("models", FakeTransport(error), []).ask()
    assert not await Probe("models", FakeTransport(FakeResponse(b"{", error)), []).ask()


async def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    """Its connection is closed."""
    response = FakeResponse(Hang())
    async with asyncio.timeout(5):
        assert not await Probe("models", FakeTransport(Hang()), [], seconds=0.01).ask()
        assert not await Probe("models", FakeTransport(response), [], seconds=0.01).ask()
    assert response.closings == 1


@pytest.mark.parametrize(
    ("workers", "queued", "well"),
    [
        ({"ready": 1}, 0, True),
        ({"idle": 1, "unhealthy": 2}, 5, True),
        ({"running": 2, "throttled": 1}, 5, True),
        ({}, 0, True),
        ({}, 3, False),
        ({"initializing": 1}, 0, False),
        ({"throttled": 3}, 1, False),
        ({"unhealthy": 1}, 0, False),
    ],
    ids=["ready", "idle", "running", "cold", "none may start", "starting", "no GPU", "crashing"],
)
async def test_runpod_is_believed_what_it_says_of_workers(workers: dict[str, int], queued: int, well: bool) -> None:
    """A cold endpoint is well: a request would start a worker."""
    body = msgspec.json.encode({"jobs": JOBS | {"inQueue": queued}, "workers": workers})
    assert await Probe("runpod", FakeTransport(answer(body=body)), []).ask() is well


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"workers": 7}'])
async def test_an_answer_that_runpod_never_gave_before_is_no_reason_to_stay_away(body: bytes) -> None:
    assert await Probe("runpod", FakeTransport(answer(body=body)), []).ask()
