"""Every endpoint with its connections and its key."""

from gateway.upstream.fleet import Fleet, Station
from tests.doubles.transport import FakeTransport
from tests.gateway.samples import tier_map, token_tier
from tiers.tiermap import Endpoint, SecretReference, Tier, Timeouts

KEY = "sk-of-the-endpoint"
TWO = token_tier(
    "reasoning",
    endpoints=(
        Endpoint(name="reasoning/0", url="http://a.test/v1", api_key=SecretReference("env", "A")),
        Endpoint(name="reasoning/1", url="http://b.test/v1"),
    ),
)
ONE = token_tier("routing")


def fleet() -> tuple[Fleet, dict[str, FakeTransport]]:
    """The stations of a map with a tier of two endpoints and one of one."""
    made: dict[str, FakeTransport] = {}

    def connect(endpoint: Endpoint, tier: Tier) -> FakeTransport:
        assert endpoint in tier.endpoints
        return made.setdefault(endpoint.name, FakeTransport())

    whole = tier_map(ONE, TWO)
    return Fleet.of(whole, connect=connect, api_key=lambda endpoint: KEY if endpoint.api_key else None), made


def test_each_endpoint_has_a_transport_and_its_own_key() -> None:
    """An endpoint without a key is sent none."""
    subject, made = fleet()
    assert set(made) == {"routing/0", "reasoning/0", "reasoning/1"}
    with_key = subject.choose(TWO)
    with_key.meter.start(0.0)
    without = subject.choose(TWO)
    assert with_key.headers.fields == [(b"authorization", b"Bearer sk-of-the-endpoint")]
    assert without.headers.fields == []
    assert without.transport is made["reasoning/1"]


def test_the_endpoint_with_the_fewest_requests_is_chosen() -> None:
    """Those of this process; the first one where they are even."""
    subject, _ = fleet()
    names = []
    tokens = {}
    for _ in range(4):
        station = subject.choose(TWO)
        tokens[station.endpoint.name] = (station, station.meter.start(0.0))
        names.append(station.endpoint.name)
    assert names == ["reasoning/0", "reasoning/1", "reasoning/0", "reasoning/1"]
    station, token = tokens["reasoning/1"]
    station.meter.finish(token, 1.0)
    assert subject.choose(TWO).endpoint.name == "reasoning/1"
    assert subject.choose(ONE).endpoint.name == "routing/0"


async def test_closing_closes_every_connection() -> None:
    """Of every tier."""
    subject, made = fleet()
    await subject.aclose()
    assert [transport.closed for transport in made.values()] == [True] * 3


def test_no_key_shows_in_a_repr() -> None:
    """Nor a reference's value."""
    [endpoint, _] = TWO.endpoints
    station = Station(endpoint=endpoint, transport=FakeTransport(), api_key=KEY)
    assert KEY not in repr(station) + repr(endpoint) + repr(fleet()[0]) + repr(station.endpoint)
    assert repr(endpoint.api_key) == "SecretReference(scheme='env', name='A')"


async def test_tiers_that_one_server_serves_share_its_connections() -> None:
    """Where they wait equally long; each has its own count of what is in flight, and all is closed once."""
    endpoint = Endpoint(name="one", url="http://one.test/v1")
    small, large = (token_tier(name, endpoints=(endpoint,)) for name in ("small", "large"))
    patient = token_tier("patient", endpoints=(endpoint,), timeouts=Timeouts(total=1.0))
    made: list[FakeTransport] = []

    def connect(_: Endpoint, __: Tier) -> FakeTransport:
        made.append(FakeTransport())
        return made[-1]

    subject = Fleet.of(tier_map(small, large, patient), connect=connect, api_key=lambda _: None)
    stations = [subject.choose(tier) for tier in (small, large, patient)]
    assert [station.transport for station in stations] == [made[0], made[0], made[1]]
    assert stations[0].meter is not stations[1].meter
    await subject.aclose()
    assert [transport.closed for transport in made] == [True, True]
