"""Which endpoint of a tier gets a request."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamAnswered, UpstreamUnreachable
from gateway.upstream.fleet import Fleet
from gateway.upstream.warmths import Warmths
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeResponse, FakeTransport
from tests.gateway.samples import tier_map, token_tier
from tiers.tiermap import Breaker, Endpoint, SecretReference, Tier, Timeouts

KEY = "sk-of-the-endpoint"
TRIED_BY_A_REQUEST = Breaker(failures=1, open=5, open_max=20, probe="none")
DOWN = UpstreamUnreachable("down")
ONE = token_tier("routing", breaker=TRIED_BY_A_REQUEST)


def several(number: int, **fields: object) -> Tier:
    """A tier of so many endpoints."""
    endpoints = tuple(Endpoint(name=f"several/{index}", url=f"http://{index}.test/v1") for index in range(number))
    return token_tier("several", **{"endpoints": endpoints, "breaker": TRIED_BY_A_REQUEST, **fields})


class Made:
    """A fleet on doubles."""

    def __init__(self, *tiers: Tier, before: Fleet | None = None) -> None:
        self.clock = ManualClock()
        self.warmths = Warmths(self.clock)
        self.transports: list[tuple[str, FakeTransport]] = []
        self.told: list[tuple[str, dict[str, object]]] = []
        self.fleet = Fleet.of(
            tier_map(*tiers),
            connect=self.connect,
            warmth=self.warmths.of,
            api_key=lambda endpoint: KEY if endpoint.api_key else None,
            clock=self.clock,
            report=self.report,
            before=before,
        )

    def connect(self, endpoint: Endpoint, tier: Tier) -> FakeTransport:
        """A transport for each way that is asked for."""
        assert tier.endpoints
        self.transports.append((endpoint.url, FakeTransport()))
        return self.transports[-1][1]

    def report(self, event: str, /, **keys: object) -> None:
        """Keep it."""
        self.told.append((event, keys))

    def chosen(
        self, tier: Tier, affinity: bytes | None = None, avoid: Sequence[str] = (), *, start: bool = False
    ) -> str | None:
        """The name of the endpoint that is chosen, and begun to be used."""
        station = self.fleet.choose(tier, affinity, avoid)
        if station is not None and start:
            station.meter.start(0.0)
        return None if station is None else station.endpoint.name

    def break_down(self, *names: str) -> None:
        """Requests to these endpoints fail."""
        for station in self.fleet.stations():
            if station.endpoint.name in names:
                station.report(DOWN)


def home(tier: Tier, key: bytes) -> str:
    """Where a key belongs while all is well."""
    name = Made(tier).chosen(tier, key)
    assert name is not None
    return name


# --- workers that sleep


def sleepers(number: int) -> Tier:
    """A tier of so many queue endpoints and one that never sleeps, which stands last."""
    endpoints = [
        Endpoint(name=f"several/{index}", url=f"https://api.runpod.ai/v2/e{index}", transport="runpod-queue")
        for index in range(number)
    ]
    return several(1, endpoints=(*endpoints, Endpoint(name="several/last", url="http://last.test/v1")))


@pytest.mark.parametrize("affinity", [None, b"session"])
def test_an_endpoint_that_is_awake_goes_before_any_that_sleeps(affinity: bytes | None) -> None:
    """Load is compared only among those; a sleeping one gets a request where no other is well."""
    tier = sleepers(2)
    made = Made(tier)
    assert {made.chosen(tier, affinity, start=True) for _ in range(4)} == {"several/last"}
    first = made.fleet.stations()[0]
    assert first.warmth is not None
    first.warmth.answered()
    assert made.chosen(tier) == "several/0"
    made.break_down("several/0", "several/last")
    assert made.chosen(tier, affinity) == "several/1"


def test_those_that_sleep_take_turns_where_none_is_awake() -> None:
    """As ever."""
    tier = sleepers(3)
    made = Made(tier)
    made.break_down("several/last")
    assert {made.chosen(tier) for _ in range(3)} == {"several/0", "several/1", "several/2"}


async def test_a_runpod_endpoint_is_looked_at_where_its_health_is_told() -> None:
    """Also where no probe asks; what a probe hears there counts as a look."""
    endpoints = (
        Endpoint(name="pod/0", url="https://abc.api.runpod.ai/v1", transport="runpod-load-balancer"),
        Endpoint(name="pod/1", url="http://a.test/v1"),
    )
    made = Made(token_tier("pod", endpoints=endpoints))
    balanced, other = made.fleet.stations()
    assert (other.look, other.warmth) == (None, None)
    assert balanced.look is not None
    assert balanced.probe is not None
    assert balanced.warmth is not None
    [way] = [transport for url, transport in made.transports if url == "https://api.runpod.ai/v2/abc"]
    assert balanced.look.transport is way
    way.then(FakeResponse(b'{"workers":{"ready":1}}'))
    assert await balanced.probe.ask()
    assert balanced.warmth.ready


# --- what it is made of


def test_each_endpoint_has_a_transport_and_its_own_key() -> None:
    """An endpoint without a key is sent none."""
    endpoints = (
        Endpoint(name="two/0", url="http://a.test/v1", api_key=SecretReference("env", "A")),
        Endpoint(name="two/1", url="http://b.test/v1"),
    )
    made = Made(token_tier("two", endpoints=endpoints))
    with_key, without = made.fleet.stations()
    assert with_key.headers.fields == [(b"authorization", b"Bearer sk-of-the-endpoint")]
    assert not without.headers.fields
    assert [with_key.transport, without.transport] == [transport for _, transport in made.transports]


async def test_closing_closes_every_connection() -> None:
    """Of every tier, and those to health addresses; each once."""
    runpod = token_tier("pod", endpoints=(Endpoint(name="pod/0", url="https://api.runpod.ai/v2/pod/openai/v1"),))
    made = Made(ONE, runpod)
    await made.fleet.aclose()
    assert [(url, transport.closed) for url, transport in made.transports] == [
        ("http://routing.test/v1", True),
        ("https://api.runpod.ai/v2/pod/openai/v1", True),
        ("https://api.runpod.ai/v2/pod", True),
    ]


def test_no_key_shows_in_a_repr() -> None:
    """Nor a reference's value."""
    endpoint = Endpoint(name="routing/0", url="http://a.test/v1", api_key=SecretReference("env", "A"))
    made = Made(token_tier(endpoints=(endpoint,)))
    [station] = made.fleet.stations()
    assert KEY not in repr(station) + repr(endpoint) + repr(made.fleet) + repr(station.endpoint)
    assert repr(endpoint.api_key) == "SecretReference(scheme='env', name='A')"


async def test_tiers_that_one_server_serves_share_its_connections() -> None:
    """Where they wait equally long; each has its own count of what is in flight, and all is closed once."""
    endpoint = Endpoint(name="one", url="http://one.test/v1")
    patient = Endpoint(name="one", url="http://one.test/v1", timeouts=Timeouts(headers=1.0))
    made = Made(
        token_tier("small", endpoints=(endpoint,)),
        token_tier("large", endpoints=(endpoint,)),
        token_tier("patient", endpoints=(patient,)),
    )
    small, large, other = made.fleet.stations()
    assert len(made.transports) == 2
    assert small.transport is large.transport
    assert small.transport is not other.transport
    assert small.meter is not large.meter
    await made.fleet.aclose()


# --- one endpoint


def test_the_only_endpoint_serves_also_what_has_failed_there() -> None:
    """It is retried where it failed, as long as its breaker is closed."""
    made = Made(token_tier("routing"))
    tier = token_tier("routing")
    assert made.chosen(tier) == made.chosen(tier, b"session", ["routing/0"]) == "routing/0"


def test_a_single_broken_endpoint_is_left_alone_until_one_request_may_try_it() -> None:
    """The others wait for that one's result."""
    made = Made(ONE)
    made.break_down("routing/0")
    assert made.chosen(ONE) is None
    assert made.fleet.retry_after(ONE) == 5
    made.clock.advance(5)
    assert made.chosen(ONE) == "routing/0"
    assert made.chosen(ONE) is None
    made.fleet.stations()[0].report(None)
    assert [made.chosen(ONE) for _ in range(2)] == ["routing/0", "routing/0"]
    assert made.fleet.retry_after(ONE) == 0
    assert [event for event, _ in made.told] == ["endpoint.opened", "endpoint.closed"]


def test_an_endpoint_that_the_gateway_probes_is_tried_by_no_request() -> None:
    """However long it is left alone."""
    probed = token_tier("routing", breaker=Breaker(failures=1))
    made = Made(probed)
    made.break_down("routing/0")
    made.clock.advance(1000)
    assert made.chosen(probed) is None


def test_an_endpoint_that_is_full_is_left_alone_until_its_time() -> None:
    """Which it named itself; its breaker stays closed."""
    made = Made(ONE)
    made.fleet.stations()[0].report(UpstreamAnswered("full", status=429, retry_after_seconds=3))
    assert (made.chosen(ONE), made.fleet.retry_after(ONE)) == (None, 3)
    made.clock.advance(3)
    assert made.chosen(ONE) == "routing/0"
    assert made.fleet.conditions()[0].state == "closed"


# --- several


def test_the_endpoint_with_the_fewest_requests_is_chosen() -> None:
    """Of this process."""
    tier = several(3)
    made = Made(tier)
    first, second, third = made.fleet.stations()
    for station in (first, first, second, third, third):
        station.meter.start(0.0)
    assert [made.chosen(tier) for _ in range(3)] == ["several/1"] * 3


def test_where_they_are_even_they_take_turns() -> None:
    """Not always the first one."""
    tier = several(3)
    made = Made(tier)
    assert sorted(str(made.chosen(tier)) for _ in range(3)) == ["several/0", "several/1", "several/2"]


def test_broken_ones_are_passed_over_and_one_request_tries_each_when_its_time_has_come() -> None:
    """Also while others are well: else it would never come back."""
    tier = several(3)
    made = Made(tier)
    made.break_down("several/0", "several/2")
    assert {made.chosen(tier) for _ in range(6)} == {"several/1"}
    made.clock.advance(5)
    assert [made.chosen(tier) for _ in range(4)] == ["several/0", "several/2", "several/1", "several/1"]
    assert made.fleet.retry_after(tier) == 0


def test_where_all_are_broken_there_is_none() -> None:
    """The first of them may be asked in 5 seconds."""
    tier = several(2)
    made = Made(tier)
    made.break_down("several/0")
    made.clock.advance(2)
    made.break_down("several/1")
    assert made.chosen(tier) is made.chosen(tier, b"session") is None
    assert made.fleet.retry_after(tier) == 3


@pytest.mark.parametrize("affinity", [None, b"session"])
def test_what_has_failed_in_a_request_is_taken_again_only_where_nothing_else_is_left(affinity: bytes | None) -> None:
    tier = several(2)
    made = Made(tier)
    assert {made.chosen(tier, affinity, ["several/0"]) for _ in range(3)} == {"several/1"}
    assert made.chosen(tier, affinity, ["several/0", "several/1"]) is not None
    made.break_down("several/1")
    assert made.chosen(tier, affinity, ["several/0"]) == "several/0"
    made.clock.advance(5)
    assert made.chosen(tier, affinity, ["several/1"]) == "several/0", "not the trial either"


@given(st.binary(max_size=20))
def test_a_session_stays_at_its_endpoint(key: bytes) -> None:
    """Over all its requests, one after the other, while that one is well; elsewhere it has its own next one."""
    tier = several(4)
    made = Made(tier)
    where = made.chosen(tier, key)
    assert [made.chosen(tier, key) for _ in range(3)] == [where] * 3
    assert made.chosen(tier, key, [str(where)]) not in {where, None}
    made.break_down(str(where))
    other = made.chosen(tier, key)
    assert other not in {where, None}
    assert made.chosen(tier, key, [str(where)]) == other
    made.clock.advance(5)
    assert made.chosen(tier, key) == where


def test_only_the_sessions_of_a_lost_endpoint_move() -> None:
    tier = several(4)
    keys = [b"session %d" % number for number in range(100)]
    homes = {key: home(tier, key) for key in keys}
    made = Made(tier)
    made.break_down("several/2")
    moved = {key for key in keys if made.chosen(tier, key) != homes[key]}
    assert moved == {key for key in keys if homes[key] == "several/2"}


def test_one_hot_session_does_not_flood_its_endpoint() -> None:
    """Some of its requests go elsewhere; nowhere is more than 1.25 times the mean, and two."""
    tier = several(4)
    made = Made(tier)
    for _ in range(100):
        made.chosen(tier, b"the only one", start=True)
    in_flight = [station.meter.in_flight for station in made.fleet.stations()]
    assert sum(in_flight) == 100
    assert max(in_flight) <= 1.25 * 25 + 2


# --- a new tier map


def test_what_is_known_of_an_endpoint_outlives_its_tier_map() -> None:
    """Where the new one has it, at the same address; with the new one's settings."""
    made = Made(ONE, several(2))
    made.break_down("routing/0", "several/0", "several/1")
    moved = (Endpoint(name="several/0", url="http://0.test/v1"), Endpoint(name="several/1", url="http://new.test/v1"))
    patient = token_tier("routing", breaker=Breaker(failures=1, open=5, probe="none", open_max=60))
    after = Made(patient, several(2, endpoints=moved), before=made.fleet)
    assert [health.state for health in after.fleet.conditions()] == ["open", "open", "closed"]
    assert after.fleet.conditions()[0].settings.open_max == 60
    assert after.fleet.conditions()[0].openings["failures"] == 1


@given(st.lists(st.sampled_from(["ok", "down", "choose", "wait"]), max_size=40))
def test_no_two_requests_try_a_broken_endpoint_at_once(steps: list[str]) -> None:
    """Whatever happens in between: a request is let through once per opening, and again when its result never came."""
    made = Made(ONE)
    [station] = made.fleet.stations()
    trial_at: float | None = None
    for step in steps:
        if step == "wait":
            made.clock.advance(2)
        elif step == "choose":
            state = made.fleet.conditions()[0].state
            if made.chosen(ONE) is not None and state != "closed":
                assert trial_at is None or made.clock.monotonic() - trial_at >= 5
                trial_at = made.clock.monotonic()
        else:
            station.report(None if step == "ok" else DOWN)
            if made.fleet.conditions()[0].state != "half-open":
                trial_at = None
