from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.errors import BadUsage
from deploy.local.layout import Layout, layout_for, with_real_addresses
from tests.tiers.fleets import fleet_text
from tiers.fleet import Fleet
from tiers.load import load, load_fleet
from tiers.tiermap import Endpoint, Key, SecretReference, TierMap, Workers

FILE = Path("maps/local.yaml")
KEY = SecretReference("env", "RUNPOD_API_KEY")
Text = Callable[[int], str]
NOTHING = Fleet()


@pytest.fixture
def tier_map(tier_map_text: Text) -> TierMap:
    return load(tier_map_text(8090), file="t.yaml")


def _layout(tier_map: TierMap, fleet: Fleet = NOTHING) -> Layout:
    return layout_for(tier_map, fleet, tiers_file=FILE, state_directory=Path(".state"), gateway_port=8080)


def _with_endpoints(tier_map: TierMap, *endpoints: Endpoint) -> TierMap:
    routing = replace(tier_map.tiers["routing"], endpoints=endpoints)
    return replace(tier_map, tiers={"routing": routing})


def _endpoint(url: str, **changes: object) -> Endpoint:
    return replace(Endpoint(name="routing/0", url=url, transport="runpod-queue", api_key=KEY), **changes)  # type: ignore[arg-type]


def test_every_endpoint_on_the_emulator_is_made_with_its_tiers_promises(tier_map: TierMap) -> None:
    first, second = _layout(tier_map).emulated
    assert first.address == "http://127.0.0.1:8090/v2/routing"
    made = first.deployment
    assert (made.key, made.model, made.context, made.gpus[0].pool) == ("routing/0", "small-routing", 2048, "ADA_24")
    assert (made.workers_min, made.workers_max, made.slots, made.gpu_count) == (0, 1, 2, 1)
    other = second.deployment
    assert (other.key, other.gpus[0].pool) == ("reasoning/0", "AMPERE_80")
    assert (other.workers_max, other.slots) == (Workers().max, Workers().slots)


def test_what_a_tier_map_deploys_is_made_on_the_emulator_without_an_address_in_the_map() -> None:
    """On the emulator's usual port, and with no URL to change for another."""
    text = fleet_text().replace("env:OPENAI", "env:OTHER")
    layout = _layout(*load_fleet(text, file="t.yaml"))
    [one] = layout.emulated
    assert (one.address, one.deployment.key, one.deployment.idle_seconds) == ("", "routing/0", 60)
    assert (layout.emulator_port, layout.emulator_secrets) == (8090, ("RUNPOD_API_KEY",))
    assert layout.ports[1].remedy == "give the emulator another one with --emulator-port"
    assert layout.fleet_state_file == Path(".state/tiers.fleet.json")


def test_endpoints_elsewhere_are_taken_as_they_are(tier_map: TierMap) -> None:
    """The OpenAI route of an emulated endpoint is one of its addresses; a server of this machine is none."""
    endpoints = (
        _endpoint("https://api.runpod.ai/v2/abc"),
        _endpoint("https://127.0.0.1:8090/v2/abc"),
        _endpoint("http://127.0.0.1:8000/v1", transport="openai", api_key=None),
        _endpoint("http://localhost:8090/v2/abc/openai/v1", transport="openai"),
    )
    layout = _layout(_with_endpoints(tier_map, *endpoints))
    assert [emulated.address for emulated in layout.emulated] == ["http://localhost:8090/v2/abc"]


def test_a_tier_without_a_gpu_gets_some(tier_map: TierMap) -> None:
    routing = replace(tier_map.tiers["routing"], gpu=None)
    assert _layout(replace(tier_map, tiers={"routing": routing})).emulated[0].deployment.gpus[0].pool == "ADA_24"


@pytest.mark.parametrize(
    ("urls", "where"),
    [
        (("https://api.runpod.ai/v2/abc",), "nowhere"),
        (("http://127.0.0.1:8090/v2/a", "http://127.0.0.1/v2/b"), "on ports 80, 8090"),
    ],
)
def test_there_is_one_emulator(tier_map: TierMap, urls: tuple[str, ...], where: str) -> None:
    with pytest.raises(BadUsage, match=f"has on Runpod's emulator are {where}$"):
        _layout(_with_endpoints(tier_map, *map(_endpoint, urls)))


@pytest.mark.parametrize("reference", [None, SecretReference("file", "/run/key")])
def test_the_emulators_key_comes_from_the_environment(tier_map: TierMap, reference: SecretReference | None) -> None:
    """It can only be put there."""
    endpoint = _endpoint("http://127.0.0.1:8090/v2/abc", api_key=reference)
    with pytest.raises(BadUsage, match=r"for endpoint routing/0 is not read from the environment") as caught:
        _layout(_with_endpoints(tier_map, endpoint))
    assert "api_key: env:RUNPOD_API_KEY" in caught.value.remedy


def test_secrets_are_told_apart(tier_map: TierMap) -> None:
    """The emulator's, and all: nobody but the gateway is to have those."""
    far = Endpoint(name="routing/1", url="https://far.example/v1", api_key=SecretReference("env", "FAR"))
    filed = Endpoint(name="routing/2", url="https://f.example/v1", api_key=SecretReference("file", "/run/k"))
    layout = _layout(_with_endpoints(tier_map, _endpoint("http://127.0.0.1:8090/v2/a"), far, filed))
    assert layout.emulator_secrets == ("RUNPOD_API_KEY",)
    assert layout.all_secrets == ("RUNPOD_API_KEY", "FAR", "TIERGATE_DEMO_KEY")


def test_the_gateway_serves_this_machine_alone(tier_map: TierMap) -> None:
    """With the tier map in which the endpoints' real addresses are."""
    layout = _layout(tier_map)
    assert " ".join(layout.gateway_arguments) == (
        "serve --tiers .state/tiers.yaml --host 127.0.0.1 --port 8080 --state-directory .state --drain-seconds 10"
    )
    assert layout.logs == Path(".state/logs")
    assert (layout.origin, layout.base_url) == ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1")
    assert layout.emulator_origin == "http://127.0.0.1:8090"


def test_every_port_comes_with_how_to_change_it(tier_map: TierMap) -> None:
    assert [(port.number, port.remedy) for port in _layout(tier_map).ports] == [
        (8080, "give the gateway another one with --port"),
        (8090, "change the endpoints' URLs in maps/local.yaml"),
    ]


def test_a_tier_map_without_the_demo_key_is_refused(tier_map: TierMap) -> None:
    """Only a key whose secret this start knows can be used by the Flow; a hashed one is not."""
    with pytest.raises(BadUsage, match="no key that is read from TIERGATE_DEMO_KEY") as caught:
        _layout(replace(tier_map, keys=(Key(name="k", hash="0" * 64),)))
    assert "key: env:TIERGATE_DEMO_KEY" in caught.value.remedy


def test_the_example_call_names_a_tier_that_the_key_may_use(tier_map: TierMap) -> None:
    key = Key(name="demo", secret=SecretReference("env", "TIERGATE_DEMO_KEY"), tiers=("reasoning",))
    assert _layout(replace(tier_map, keys=(key,))).example_model == "reasoning"
    assert _layout(tier_map).example_model == "routing"
    assert _layout(tier_map).run_budgets == {"per-run"}


def test_only_addresses_change_in_a_tier_maps_text() -> None:
    """And only whole ones: an id may begin like another."""
    text = "# mine\n- url: http://h/v2/a  # first\n- url: http://h/v2/a/openai/v1\n- url: http://h/v2/a-b\n"
    assert with_real_addresses(text, {"http://h/v2/a": "http://h/v2/x1"}) == (
        "# mine\n- url: http://h/v2/x1  # first\n- url: http://h/v2/x1/openai/v1\n- url: http://h/v2/a-b\n"
    )
