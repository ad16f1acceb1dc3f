"""An attempt on its way, and its landing."""

import asyncio

import pytest

from gateway.upstream.flight import Flight
from gateway.upstream.station import Station
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeResponse, FakeTransport, Hang
from tests.gateway.samples import token_tier
from tiers.outliers import REQUESTS_MIN
from tiers.tiermap import Endpoint, Tier


def depart(clock: ManualClock, station: Station) -> Flight:
    return Flight(station=station, clock=clock, started=station.meter.start(clock.monotonic()))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def station_of(tier: Tier, clock: ManualClock) -> Station:
    [endpoint, *_] = tier.endpoints
    return Station(tier=tier, endpoint=endpoint, transport=FakeTransport(), api_key="sk-secret", clock=clock)


@pytest.fixture
def station(clock: ManualClock) -> Station:
    return station_of(token_tier(), clock)


async def test_a_landing_stops_the_meter_and_closes_the_answer(clock: ManualClock, station: Station) -> None:
    """Its share of the endpoint's seconds is known then."""
    flight = depart(clock, station)
    flight.response = FakeResponse()
    clock.advance(3)
    await flight.land()
    assert flight.gpu_seconds == 3
    assert station.meter.in_flight == 0
    assert flight.response.closings == 1


async def test_attempts_that_share_an_endpoint_share_its_seconds(clock: ManualClock, station: Station) -> None:
    """Two seconds alone, then four for two."""
    first = depart(clock, station)
    clock.advance(2)
    second = depart(clock, station)
    clock.advance(4)
    await first.land()
    await second.land()
    assert (first.gpu_seconds, second.gpu_seconds) == (4, 2)


async def test_one_that_got_no_answer_lands_too(clock: ManualClock, station: Station) -> None:
    """There is nothing to close."""
    flight = depart(clock, station)
    await flight.land()
    assert station.meter.in_flight == 0


async def test_an_interrupted_landing_has_stopped_the_meter(clock: ManualClock, station: Station) -> None:
    """Nothing that follows may be charged for it."""
    flight = depart(clock, station)
    hang = Hang()
    flight.response = FakeResponse(closing=hang)
    clock.advance(1)
    task = asyncio.ensure_future(flight.land())
    await hang.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (flight.gpu_seconds, station.meter.in_flight) == (1, 0)


async def test_how_long_an_answer_took_is_told_where_there_are_siblings(clock: ManualClock) -> None:
    """From the flight's departure to the answer's head; that is what endpoints of one tier are compared by."""
    endpoints = tuple(Endpoint(name=f"two/{index}", url=f"http://{index}.test/v1") for index in range(2))
    station = station_of(token_tier("two", endpoints=endpoints), clock)
    for _ in range(REQUESTS_MIN):
        flight = depart(clock, station)
        clock.advance(0.25)
        flight.response = FakeResponse()
        clock.advance(5)
        await flight.land()
    assert station.tally is not None
    assert station.tally.showing(out=False).first_byte_seconds == 0.25


def test_no_key_shows_in_a_repr(clock: ManualClock, station: Station) -> None:
    """A flight may end up in a traceback."""
    assert "sk-secret" not in repr(depart(clock, station))


async def test_a_job_owes_no_more_than_its_worker_says_that_it_worked(clock: ManualClock, station: Station) -> None:
    """Whatever else it waited for; the rest is taken from what the endpoint's requests owe."""
    flight = depart(clock, station)
    clock.advance(3)
    await flight.land()
    flight.worked(1.25)
    assert (flight.gpu_seconds, station.meter.attributed) == (1.25, 1.25)
    flight.worked(2.0)
    assert (flight.gpu_seconds, station.meter.attributed) == (1.25, 1.25)
