"""One look at a Runpod endpoint's health."""

import asyncio

import pytest

from gateway.errors import UpstreamFailed, UpstreamUnreachable
from gateway.upstream.look import Look
from gateway.wire.header_lines import HeaderLines
from tests.doubles.transport import FakeResponse, FakeTransport, Hang
from tiers.warmth import Sample

KEY = HeaderLines([(b"authorization", b"Bearer rpa")])


async def test_it_asks_the_health_address_with_the_endpoints_key() -> None:
    """And what is not in the answer counts as none: what Runpod documents is only a part of what it sends."""
    body = b'{"jobs":{"completed":9,"inProgress":2,"inQueue":1},"workers":{"idle":1,"running":3,"new":7}}'
    transport = FakeTransport(FakeResponse(body))
    seen = await Look(transport, [KEY])()
    assert seen.sample == Sample(idle=1, running=3, in_queue=1, in_progress=2)
    [request] = transport.requests
    assert (request.method, request.path, request.body, list(request.headers)) == (b"GET", b"/health", b"", [KEY])
    assert transport.answered[0].closings == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"workers": 7}'])
async def test_what_is_no_health_says_nothing(body: bytes) -> None:
    seen = await Look(FakeTransport(FakeResponse(body)), [])()
    assert (seen.status, seen.sample) == (200, None)
    assert "not an endpoint's health" in seen.problem


async def test_a_refusal_says_when_to_come_again() -> None:
    headers = ((b"retry-after", b"7"),)
    seen = await Look(FakeTransport(FakeResponse(b"{}", status=429, headers=headers)), [])()
    assert (seen.status, seen.sample, seen.retry_after_seconds, seen.problem) == (429, None, 7, "answered 429")


@pytest.mark.parametrize("error", [UpstreamUnreachable("refused"), UpstreamFailed("reset")])
async def test_what_does_not_answer_says_nothing(error: UpstreamFailed) -> None:
    seen = await Look(FakeTransport(error), [])()
    assert (seen.status, seen.sample, seen.problem) == (0, None, error.message)


async def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    """Its connection is closed."""
    response = FakeResponse(Hang())
    async with asyncio.timeout(5):
        assert "no answer" in (await Look(FakeTransport(response), [], seconds=0.01)()).problem
    assert response.closings == 1
