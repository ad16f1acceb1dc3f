from bench.scale import LARGE
from bench.tier_maps import key_of, tier_map, tier_of
from gateway.authenticate import digest
from tiers.load import load

URL = "http://127.0.0.1:9100/v1"


def test_the_large_map_is_one_that_the_gateway_loads_and_its_keys_are_known() -> None:
    read = load(tier_map({tier_of(number): URL for number in range(LARGE.tiers)}, keys=LARGE.keys), file="large")
    assert (len(read.keys), len(read.tiers)) == (LARGE.keys, LARGE.tiers)
    assert {key.hash for key in read.keys} >= {digest(key_of(number).encode()) for number in (0, LARGE.keys - 1)}
    assert read.budgets


def test_the_small_map_has_one_key_from_the_environment() -> None:
    [key] = load(tier_map({"fast": URL}, budgets=False), file="small").keys
    assert str(key.secret) == "env:TIERGATE_BENCH_KEY"
