import pytest

from tests.tiers.samples import FILE, WHOLE, changed
from tiers.build import tier_map
from tiers.document import TierMapDocument
from tiers.gpus import catalogue
from tiers.load import load
from tiers.price import GpuPrice, TokenPrice
from tiers.tiermap import (
    Breaker,
    Budget,
    Comparison,
    Conditions,
    Endpoint,
    Key,
    Owner,
    Queue,
    Retry,
    Route,
    SecretReference,
    Tier,
    Timeouts,
)


def test_every_field_arrives() -> None:
    """The document of the reference, as values: durations in seconds, money in microdollars."""
    built = load(WHOLE, file="tiers.yaml")
    assert built.store == "embedded"
    assert built.tiers["routing"] == Tier(
        name="routing",
        model="meta-llama/Llama-3.1-8B-Instruct",
        aliases=("gpt-4.1-mini",),
        price=GpuPrice(microdollars_per_second=310),
        gpu=catalogue()["RTX 4090"],
        endpoints=(
            Endpoint(
                name="routing/0",
                url="http://127.0.0.1:9100/v1",
                api_key=SecretReference("env", "ROUTING_KEY"),
                timeouts=Timeouts(),
            ),
        ),
        context=16384,
        output=None,
        slots=24,
        queue=Queue(length=200, wait_seconds=30.0),
        fallback=("reasoning",),
    )
    external = built.tiers["external"]
    assert external.price == TokenPrice(input_microdollars=150_000, output_microdollars=600_000)
    assert external.timeouts == Timeouts(connect=0.5, headers=10.0, idle=5.0, total=60.0)
    assert (external.output, external.gpu) == (1000, None)
    assert built.routes == (
        Route(name="classifiers", when=Conditions(agent=("router", "classifier-*")), tier="routing"),
        Route(
            name="long prompts",
            when=Conditions(prompt_tokens=Comparison(operator=">", value=12000)),
            tier="reasoning",
        ),
        Route(name="default", tier="routing"),
    )
    assert built.budgets == (
        Budget(
            name="reasoning-daily",
            owner=Owner(kind="tier", pattern="reasoning"),
            unit="USD",
            limit=50_000_000,
            window_seconds=86_400,
        ),
        Budget(
            name="per-agent",
            owner=Owner(kind="agent", pattern="*"),
            unit="tokens",
            limit=2_000_000,
            window_seconds=3600,
        ),
    )
    assert built.keys == (Key(name="demo", secret=SecretReference("env", "TIERGATE_DEMO_KEY")),)
    assert built.names["gpt-4.1-mini"] == (built.tiers["routing"], "alias")


def test_endpoints_are_counted_from_zero() -> None:
    endpoints = load(WHOLE, file="tiers.yaml").tiers["reasoning"].endpoints
    assert [(each.name, each.url) for each in endpoints] == [
        ("reasoning/0", "http://127.0.0.1:9101/v1"),
        ("reasoning/1", "http://127.0.0.1:9102/v1"),
    ]


def test_a_worker_costs_all_its_gpus() -> None:
    built = load(changed("gpu: A100 80GB", "gpu: A100 80GB\n    gpu_count: 2"), file="tiers.yaml")
    assert built.tiers["reasoning"].price == GpuPrice(microdollars_per_second=1520)


def test_a_tier_without_output_sets_no_bound_of_its_own() -> None:
    built = load(changed("context: 2000\n    output: 1000", "context: 2000"), file="tiers.yaml")
    assert built.tiers["external"].output is None


def test_a_key_may_be_bound_to_tiers_and_given_as_a_hash() -> None:
    text = changed("key: env:TIERGATE_DEMO_KEY", f"hash: sha256:{'AB' * 32}, tiers: [routing]")
    [key] = load(text, file="tiers.yaml").keys
    assert key == Key(name="demo", hash="ab" * 32, tiers=("routing",))


def test_an_unchecked_document_without_a_price_is_not_built() -> None:
    document = TierMapDocument.model_validate(
        {
            "version": 1,
            "tiers": {"a": {"model": "m", "endpoints": [{"url": "http://h/v1"}], "context": 1, "slots": 1}},
            "keys": [{"name": "k", "key": "env:K"}],
        }
    )
    with pytest.raises(ValueError, match="without a price"):
        tier_map(document)


def test_an_endpoints_own_timeouts_go_before_its_tiers() -> None:
    """But for the whole request's: that is the tier's."""
    text = changed(
        '[{url: "http://127.0.0.1:9101/v1/"}, {url: "http://127.0.0.1:9102/v1"}]',
        '[{url: "http://127.0.0.1:9101/v1/"}, {url: "http://127.0.0.1:9102/v1", timeouts: {headers: 9s,'
        " first_token: 3s}}]\n    timeouts: {headers: 90s, idle: 7s, total: 2m}",
    )
    one, other = load(text, file=FILE).tiers["reasoning"].endpoints
    assert one.timeouts == Timeouts(headers=90.0, idle=7.0, total=120.0)
    assert other.timeouts == Timeouts(headers=9.0, first_token=3.0, idle=7.0, total=120.0)


def test_what_is_done_about_failures_is_read() -> None:
    text = changed(
        "fallback: [reasoning]",
        "retry: {attempts: 6, backoff: 100ms, backoff_max: 2s, retry_after_max: 1s}\n"
        "    breaker: {failures: 5, within: 1m, open: 2s, open_max: 30s, probe: none}\n"
        "    affinity: session\n    continue: true\n    escalation: [reasoning]\n    downgrade: external",
    )
    built = load(text, file=FILE).tiers["routing"]
    assert built.retry == Retry(attempts=6, backoff=0.1, backoff_max=2.0, retry_after_max=1.0)
    assert built.breaker == Breaker(failures=5, within=60.0, open=2.0, open_max=30.0, probe="none")
    assert (built.affinity, built.continue_streams) == ("session", True)
    assert (built.escalation, built.downgrade) == (("reasoning",), "external")
