"""What depends on a tier map is made of it as one piece."""

import io
from dataclasses import replace

import pytest

from gateway.checked_map import CheckedMap, MapRejected
from gateway.errors import UpstreamUnreachable
from gateway.exchange import Caller
from gateway.extension import Extensions
from gateway.generation import Generation, Workshop, callers_of
from gateway.heartbeat import Heartbeats
from gateway.hold import Hold
from gateway.observe import Observer
from gateway.relay import Relay
from gateway.served import ServedMap
from gateway.settle import Settler
from gateway.telemetry.log import Log
from gateway.upstream.health import untold
from gateway.upstream.transports import directly
from gateway.upstream.waking import Waker
from gateway.upstream.warmths import Warmths
from gateway.upstream.ways import Ways
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.doubles.transport import FakeTransport
from tests.doubles.wakes import CountedWakes
from tests.gateway.samples import tier_map, token_tier
from tiers.tiermap import Alerts, Breaker, Budget, Endpoint, Key, Owner, SecretReference, Tier, Timeouts
from tiers.windows import Window

UPSTREAM, CALLER = SecretReference("env", "UPSTREAM"), SecretReference("env", "CALLER")
KNOWN = {UPSTREAM: "sk-upstream", CALLER: "sk-caller"}
HASHED = "ab" * 32
DEFAULT = Breaker()


class Bench:
    """A workshop on doubles, and the ways that it has made."""

    def __init__(self) -> None:
        clock = ManualClock()
        ledger = FailingLedger(clock.unix)
        wakes = CountedWakes()
        self.ways: dict[str, FakeTransport] = {}
        self.workshop = Workshop(
            ledger=ledger,
            settler=Settler(ledger=ledger, clock=clock),
            relay=Relay(clock=clock),
            observe=Observer(hooks=[], clock=clock),
            clock=clock,
            report=Log(io.BytesIO(), clock).event,
            request_ids=lambda: "req_1",
            body_bytes_max=1000,
            ways=Ways(self.connect),
            transports=directly,
            warmths=Warmths(clock),
            extensions=Extensions(ledger=ledger, clock=clock),
            hold=Hold(
                wakes=wakes,
                waker=Waker(wakes=wakes, report=untold),
                heartbeats=Heartbeats(10),
                clock=clock,
            ),
        )

    def connect(self, url: str, timeouts: Timeouts) -> FakeTransport:
        """Refuses what has no host."""
        if not url.startswith("http://"):
            raise ValueError("an endpoint's URL starts with http:// or https://")
        assert url not in self.ways, "a way is made once"
        assert timeouts.connect
        self.ways[url] = FakeTransport()
        return self.ways[url]

    def make(self, *tiers: Tier, number: int = 1, before: Generation | None = None) -> Generation:
        """The generation of a map of these tiers."""
        checked = CheckedMap(tier_map=tier_map(*tiers), text=b"x", known=KNOWN)
        served = ServedMap(generation=number, hash=checked.hash, loaded_unix=1.0)
        return self.workshop.make(checked, served, before)


def tier_at(*urls: str, breaker: Breaker = DEFAULT) -> Tier:
    """A tier with these endpoints."""
    endpoints = tuple(Endpoint(name=f"routing/{n}", url=url, api_key=UPSTREAM) for n, url in enumerate(urls))
    return token_tier(endpoints=endpoints, breaker=breaker)


def test_keys_are_known_by_their_digests() -> None:
    """Whether the map has the key or only its hash; a key may be for some tiers only."""
    keys = (Key(name="demo", secret=CALLER), Key(name="hashed", hash=HASHED, tiers=("routing",)))
    callers = callers_of(tier_map(token_tier(), keys=keys), KNOWN)
    assert set(callers.values()) == {Caller(name="demo"), Caller(name="hashed", tiers=frozenset({"routing"}))}
    assert callers[HASHED].name == "hashed"
    assert "sk-caller" not in callers


async def test_generations_share_the_ways_that_both_have() -> None:
    """Those of an endpoint that is gone are closed with its generation."""
    bench = Bench()
    one = bench.make(tier_at("http://a.test/v1", "http://b.test/v1"))
    two = bench.make(tier_at("http://b.test/v1", "http://c.test/v1"), number=2, before=one)
    await one.ways.aclose()
    assert {url: way.closed for url, way in bench.ways.items()} == {
        "http://a.test/v1": True,
        "http://b.test/v1": False,
        "http://c.test/v1": False,
    }
    await two.ways.aclose()
    assert all(way.closed for way in bench.ways.values())


def test_what_is_known_of_an_endpoint_stays_known() -> None:
    """One that was left alone is left alone under the next map, too."""
    bench = Bench()
    alone = tier_at("http://a.test/v1", breaker=Breaker(failures=1, probe="none"))
    one = bench.make(alone)
    [station] = one.fleet.stations()
    station.report(UpstreamUnreachable("down"))
    two = bench.make(alone, number=2, before=one)
    assert two.fleet.choose(two.tier_map.tiers["routing"]) is None
    afresh = bench.make(alone, number=3)
    assert afresh.fleet.choose(afresh.tier_map.tiers["routing"]) is not None


def test_an_endpoint_gets_the_key_that_its_map_names() -> None:
    """Read when the map was checked."""
    [station] = Bench().make(tier_at("http://a.test/v1")).fleet.stations()
    assert station.headers.fields == [(b"authorization", b"Bearer sk-upstream")]


def test_a_map_with_a_url_that_cannot_be_called_is_refused() -> None:
    """And leaves nothing behind."""
    bench = Bench()
    with pytest.raises(MapRejected, match="starts with http"):
        bench.make(tier_at("http://a.test/v1", "gopher://b.test"))
    bench.ways.clear()
    bench.make(tier_at("http://a.test/v1"))


def test_alerts_go_where_the_map_says() -> None:
    """Also where that was read from elsewhere."""
    told = Alerts(at=(80,), webhook=UPSTREAM)
    owner, window = Owner(kind="all", pattern="*"), Window(seconds=60)
    budget = Budget(name="daily", owner=owner, unit="USD", limit=1, window=window, alerts=told)
    bench = Bench()
    checked = CheckedMap(tier_map=replace(tier_map(token_tier()), budgets=(budget,), keys=()), text=b"", known=KNOWN)
    made = bench.workshop.make(checked, ServedMap(generation=1, hash="", loaded_unix=0.0))
    assert made.webhooks == {("daily", "USD"): "sk-upstream"}
    assert "sk-upstream" not in repr(made)
