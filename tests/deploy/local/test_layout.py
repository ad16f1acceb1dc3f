from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.errors import BadUsage
from deploy.local.layout import Layout, layout_for
from tiers.tiermap import Endpoint, Key, SecretReference, TierMap

FILE = Path("maps/local.yaml")
MakeTierMap = Callable[..., TierMap]


def _layout(tier_map: TierMap) -> Layout:
    return layout_for(tier_map, tiers_file=FILE, state_directory=Path(".state"), gateway_port=8080)


def _with_endpoints(tier_map: TierMap, *endpoints: Endpoint) -> TierMap:
    routing = replace(tier_map.tiers["routing"], endpoints=endpoints, slots=5)
    return replace(tier_map, tiers={"routing": routing})


def test_every_local_endpoint_gets_an_engine_with_its_tiers_promises(make_tier_map: MakeTierMap) -> None:
    layout = _layout(make_tier_map(9100, 9101))
    assert [engine.name for engine in layout.engines] == ["engine-routing-0", "engine-reasoning-0"]
    assert " ".join(layout.engines[1].arguments) == ("--model small-reasoning --port 9101 --slots 2 --context 2048")
    assert layout.engines[1].health_url == "http://127.0.0.1:9101/health"


def test_endpoints_elsewhere_get_no_engine(make_tier_map: MakeTierMap) -> None:
    """TLS ends somewhere else too: the engines here speak plain HTTP."""
    tier_map = _with_endpoints(
        make_tier_map(9100),
        Endpoint(name="routing/0", url="https://api.example.org/v1"),
        Endpoint(name="routing/1", url="https://127.0.0.1:9443/v1"),
        Endpoint(name="routing/2", url="http://localhost/v1"),
    )
    assert [(engine.endpoint, engine.port) for engine in _layout(tier_map).engines] == [("routing/2", 80)]


def test_a_tiers_slots_are_shared_out_among_its_endpoints(make_tier_map: MakeTierMap) -> None:
    """Rounded up: the tier must be able to fill what it promises."""
    endpoints = [Endpoint(name=f"routing/{n}", url=f"http://127.0.0.1:910{n}/v1") for n in range(2)]
    tier_map = _with_endpoints(make_tier_map(9100), *endpoints)
    assert [engine.slots for engine in _layout(tier_map).engines] == [3, 3]


def test_an_engine_asks_for_the_key_that_the_tier_map_refers_to(make_tier_map: MakeTierMap) -> None:
    """By reference: a key on a command line shows in the process list."""
    local = Endpoint(name="routing/0", url="http://127.0.0.1:9100/v1", api_key=SecretReference("env", "LOCAL"))
    far = Endpoint(name="routing/1", url="https://far.example/v1", api_key=SecretReference("env", "FAR"))
    filed = Endpoint(name="routing/2", url="https://f.example/v1", api_key=SecretReference("file", "/run/k"))
    layout = _layout(_with_endpoints(make_tier_map(9100), local, far, filed))
    assert layout.engines[0].arguments[-2:] == ("--api-key", "env:LOCAL")
    assert layout.local_secrets == ("LOCAL",)
    assert layout.all_secrets == ("LOCAL", "FAR", "TIERGATE_DEMO_KEY")


def test_the_gateway_serves_this_machine_alone(make_tier_map: MakeTierMap) -> None:
    layout = _layout(make_tier_map(9100))
    assert " ".join(layout.gateway_arguments) == (
        "serve --tiers maps/local.yaml --host 127.0.0.1 --port 8080 --state-directory .state --drain-seconds 10"
    )
    assert layout.logs == Path(".state/logs")
    assert (layout.origin, layout.base_url) == ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1")


def test_every_port_comes_with_how_to_change_it(make_tier_map: MakeTierMap) -> None:
    ports = _layout(make_tier_map(9100)).ports
    assert [(port.number, port.remedy) for port in ports] == [
        (8080, "give the gateway another one with --port"),
        (9100, "change the URL of endpoint routing/0 in maps/local.yaml"),
    ]


def test_a_tier_map_without_the_demo_key_is_refused(make_tier_map: MakeTierMap) -> None:
    """Only a key whose secret this start knows can be used by the Flow; a hashed one is not."""
    tier_map = replace(make_tier_map(9100, demo_variable="OTHER"), keys=(Key(name="k", hash="0" * 64),))
    with pytest.raises(BadUsage, match="no key that is read from TIERGATE_DEMO_KEY") as caught:
        _layout(tier_map)
    assert "key: env:TIERGATE_DEMO_KEY" in caught.value.remedy


def test_the_example_call_names_a_tier_that_the_key_may_use(make_tier_map: MakeTierMap) -> None:
    key = Key(name="demo", secret=SecretReference("env", "TIERGATE_DEMO_KEY"), tiers=("reasoning",))
    assert _layout(replace(make_tier_map(9100, 9101), keys=(key,))).example_model == "reasoning"
    assert _layout(make_tier_map(9100, 9101)).example_model == "routing"
