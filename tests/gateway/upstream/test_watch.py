"""What goes on beside requests: probes, and comparisons of endpoints."""

import asyncio

import pytest

from gateway.clock import SystemClock
from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.upstream.fleet import Fleet
from gateway.upstream.pool import HttpTransport
from gateway.upstream.station import Station
from gateway.upstream.watch import COMPARED_LOOKS, SPAN_COMPARISONS, Watch
from tests.doubles.clock import ManualClock
from tests.doubles.scripted_server import Receive, Reset, ScriptedServer, Send
from tests.doubles.transport import FakeResponse, FakeTransport, Gate
from tests.gateway.samples import tier_map, token_tier
from tests.gateway.upstream.exchanging import OK
from tests.stores import eventually
from tiers.tiermap import Breaker, Endpoint, Tier

SILENT = UpstreamTimeout("silent")


def answer(body: bytes) -> bytes:
    return OK + b"content-length: %d\r\n\r\n" % len(body) + body


def tier_of(number: int) -> Tier:
    endpoints = tuple(Endpoint(name=f"routing/{index}", url=f"http://{index}.test/v1") for index in range(number))
    return token_tier(endpoints=endpoints, breaker=Breaker(failures=3, open=5, open_max=20))


class Watched:
    """A fleet on doubles, and a watch over it whose looks the test makes."""

    def __init__(self, number: int = 1, *script: FakeResponse | Exception | Gate) -> None:
        self.clock = ManualClock()
        self.transport = FakeTransport(*script)
        fleet = Fleet.of(
            tier_map(tier_of(number)), connect=lambda *_: self.transport, api_key=lambda _: None, clock=self.clock
        )
        self.stations = fleet.stations()
        self.watch = Watch([self.stations])

    @property
    def states(self) -> list[str]:
        """Of every breaker."""
        return [station.health.state for station in self.stations]

    async def look(self, seconds: float = 0.0) -> None:
        """Let time pass and look; what that begins is waited for."""
        self.clock.advance(seconds)
        async with asyncio.TaskGroup() as group:
            self.watch.look(group)

    async def compare(self, times: int = 1) -> None:
        """As many looks as it takes until endpoints are compared."""
        for _ in range(times * COMPARED_LOOKS):
            await self.look()


def break_down(station: Station) -> None:
    for _ in range(3):
        station.report(SILENT)


def serve(station: Station, requests: int, *, failures: int = 0, seconds: float = 0.1) -> None:
    """Requests that ended, with failures among them but never three in a row."""
    assert station.tally is not None
    for number in range(requests):
        station.report(SILENT if number % 2 and number // 2 < failures else None)
        station.tally.answered(seconds)


async def test_a_broken_endpoint_is_probed_when_its_time_has_come() -> None:
    """At growing intervals until it is well, and then no more."""
    watched = Watched(1, UpstreamFailed("reset"), FakeResponse(b"", status=503), FakeResponse(b"{}"))
    [station] = watched.stations
    await watched.look(100)
    break_down(station)
    seen = []
    for seconds in (4.9, 0.1, 9.9, 0.1, 19.9, 0.1, 100):
        await watched.look(seconds)
        seen.append((len(watched.transport.requests), *watched.states))
    assert seen == [
        (0, "open"), (1, "open"), (1, "open"), (2, "open"), (2, "open"), (3, "closed"), (3, "closed"),
    ]  # fmt: skip
    assert station.health.probes == {"good": 1, "bad": 2}


async def test_a_probe_that_takes_long_holds_up_no_other() -> None:
    """And none is begun beside it."""
    gate = Gate()
    watched = Watched(2, gate, FakeResponse(b"{}"), FakeResponse(b"{}"))
    for station in watched.stations:
        break_down(station)
    watched.clock.advance(5)
    async with asyncio.TaskGroup() as group:
        watched.watch.look(group)
        await eventually(lambda: len(watched.transport.requests) == 2)
        watched.watch.look(group)
        await eventually(lambda: watched.states.count("closed") == 1)
        assert len(watched.transport.requests) == 2
        gate.opened.set()
    assert watched.states == ["closed", "closed"]


async def test_an_endpoint_that_fails_far_more_than_its_siblings_is_ejected() -> None:
    """Every 10 seconds they are compared; it begins anew afterwards."""
    watched = Watched(3)
    for station, failures in zip(watched.stations, (0, 40, 0), strict=True):
        serve(station, 100, failures=failures)
    for _ in range(COMPARED_LOOKS - 1):
        await watched.look()
    assert watched.states == ["closed", "closed", "closed"]
    await watched.look()
    assert watched.states == ["closed", "open", "closed"]
    assert watched.stations[1].health.openings["failure_ratio"] == 1
    tally = watched.stations[1].tally
    assert tally is not None
    assert tally.showing(out=True).requests == 0


async def test_an_endpoint_that_is_far_slower_is_ejected() -> None:
    """Of two it may be one."""
    watched = Watched(2)
    for station, seconds in zip(watched.stations, (4.0, 1.0), strict=True):
        serve(station, 20, seconds=seconds)
    await watched.compare()
    assert watched.states == ["open", "closed"]
    assert watched.stations[0].health.openings["slow"] == 1


async def test_never_more_than_half_are_out() -> None:
    """One of three is broken already, so that another one stays, slow as it is."""
    watched = Watched(3)
    for station, seconds in zip(watched.stations, (9.0, 1.0, 1.0), strict=True):
        serve(station, 20, seconds=seconds)
    break_down(watched.stations[1])
    await watched.compare()
    assert watched.states == ["closed", "open", "closed"]


async def test_what_was_long_ago_does_not_count() -> None:
    """After two spans of time."""
    watched = Watched(3)
    serve(watched.stations[0], 100, failures=40)
    await watched.compare(2 * SPAN_COMPARISONS)
    for station in watched.stations:
        serve(station, 20)
    await watched.compare()
    assert watched.states == ["closed", "closed", "closed"]


async def found_well_again(server: ScriptedServer, url: str) -> Station:
    """Leave the endpoint with this URL alone after a failure, until probes over real connections bring it back."""
    tier = token_tier(
        endpoints=(Endpoint(name="routing/0", url=url),), breaker=Breaker(failures=1, open=0.02, open_max=0.02)
    )
    fleet = Fleet.of(
        tier_map(tier),
        connect=lambda endpoint, _: HttpTransport(endpoint.url, endpoint.timeouts),
        api_key=lambda _: "sk-endpoint",
        clock=SystemClock(),
    )
    [station] = fleet.stations()
    station.report(SILENT)
    assert fleet.choose(tier) is None
    watching = asyncio.get_running_loop().create_task(Watch([[station]], look_seconds=0.01).run())
    await eventually(lambda: fleet.choose(tier) is not None)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    await fleet.aclose()
    assert all(b"\r\nauthorization: Bearer sk-endpoint\r\n" in request for request in server.requests)
    return station


async def test_an_endpoint_that_comes_back_is_found_by_probes_alone() -> None:
    """It is down, breaks a connection, and is back; no request is sent in between."""
    async with ScriptedServer([Reset()], [Receive(), Reset()], [Receive(), Send(answer(b"{}"))]) as server:
        station = await found_well_again(server, server.url)
    assert station.health.probes == {"good": 1, "bad": 2}
    assert [request.split(b"\r\n")[0] for request in server.requests] == [b"GET /v1/models HTTP/1.1"] * 2


async def test_probes_of_a_runpod_endpoint_wake_no_worker() -> None:
    """Only its health address is asked, until it has a worker that can take a request."""
    starting, ready = (
        answer(b'{"jobs":{"inQueue":1},"workers":{"%b":1}}' % word) for word in (b"initializing", b"ready")
    )
    async with ScriptedServer([Receive(), Send(starting), Receive(), Send(ready)]) as server:
        station = await found_well_again(server, f"http://127.0.0.1:{server.port}/v2/abc123/openai/v1")
    assert station.health.probes == {"good": 1, "bad": 1}
    assert [request.split(b"\r\n")[0] for request in server.requests] == [b"GET /v2/abc123/health HTTP/1.1"] * 2


async def test_stopping_ends_a_probe_that_is_under_way() -> None:
    """Nothing is left behind."""
    gate = Gate()
    clock = SystemClock()
    tier = token_tier(breaker=Breaker(failures=1, open=0.01))
    fleet = Fleet.of(tier_map(tier), connect=lambda *_: FakeTransport(gate), api_key=lambda _: None, clock=clock)
    [station] = fleet.stations()
    station.report(SILENT)
    watching = asyncio.get_running_loop().create_task(fleet.run())
    await eventually(gate.reached.is_set)
    before = asyncio.all_tasks()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert len(before - asyncio.all_tasks()) == 2
