import pytest

from tests.tiers.samples import FILE, WHOLE, changed
from tiers.build import tier_map
from tiers.document import TierMapDocument
from tiers.gpus import catalogue
from tiers.load import load
from tiers.price import GpuPrice, TokenPrice
from tiers.tiermap import (
    Alerts,
    Breaker,
    Budget,
    Comparison,
    Concurrency,
    Conditions,
    Endpoint,
    Key,
    Outage,
    Owner,
    Queue,
    Retry,
    Route,
    SecretReference,
    Tier,
    Timeouts,
)
from tiers.windows import Window


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
            window=Window(kind="calendar", seconds=86_400, unit="day"),
        ),
        Budget(
            name="per-agent",
            owner=Owner(kind="agent", pattern="*"),
            unit="tokens",
            limit=2_000_000,
            window=Window(kind="calendar", seconds=3600, unit="hour"),
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


def budget(window: str) -> Budget:
    """The first budget, with these fields in place of its window."""
    return load(changed("window: 1d", window), file=FILE).budgets[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("window: 1d", Window(kind="calendar", seconds=86_400, unit="day")),
        ("window: 1d, timezone: UTC", Window(kind="calendar", seconds=86_400, unit="day")),
        (
            "window: 1mo, timezone: Europe/Berlin",
            Window(kind="calendar", seconds=2_592_000, unit="month", zone="Europe/Berlin"),
        ),
        ("window: 6h", Window(seconds=21_600)),
        ("window: 1d, rolling: true", Window(kind="rolling", seconds=86_400)),
        ("window: 90s, rolling: true", Window(kind="rolling", seconds=90)),
        ("window: 1d, rolling: false", Window(kind="calendar", seconds=86_400, unit="day")),
    ],
)
def test_windows_follow_a_calendar_or_are_aligned_or_roll(text: str, expected: Window) -> None:
    assert budget(text).window == expected


def test_what_happens_when_a_budget_is_spent_is_read() -> None:
    assert (budget("window: 1d").spent, budget("window: 1d").alerts) == ("downgrade", None)
    told = budget("window: 1d, spent: shadow, alerts: {at: [100%, 50%], webhook: env:HOOK}")
    assert told.spent == "shadow"
    assert told.alerts == Alerts(at=(50, 100), webhook=SecretReference("env", "HOOK"))
    assert budget('window: 1d, alerts: {at: 80%, webhook: "https://h.test/x?y=1"}').alerts == Alerts(
        at=(80,), webhook="https://h.test/x?y=1"
    )


def test_limits_become_rates_and_concurrency() -> None:
    """Both rates of a limit bear its name: their units tell them apart."""
    limits = (
        "limits:\n"
        '  - {name: pace, owner: {agent: "*"}, requests_per_minute: 60, tokens_per_minute: 90000, concurrency: 4}\n'
        "  - {name: calm, owner: {team: research}, concurrency: 2}\n"
        "keys:\n"
    )
    built = load(changed("keys:\n", limits), file=FILE)
    minute, agents = Window(kind="rolling", seconds=60), Owner(kind="agent", pattern="*")
    assert built.budgets[2:] == (
        Budget(name="pace", owner=agents, unit="requests", limit=60, window=minute, spent="reject", rate=True),
        Budget(name="pace", owner=agents, unit="tokens", limit=90_000, window=minute, spent="reject", rate=True),
    )
    assert built.concurrency == (
        Concurrency(name="pace", owner=agents, slots=4),
        Concurrency(name="calm", owner=Owner(kind="team", pattern="research"), slots=2),
    )


def test_gpu_seconds_are_counted_in_microseconds() -> None:
    built = load(changed("limit: 50 USD", "limit: 3000 GPU seconds"), file=FILE).budgets[0]
    assert (built.unit, built.limit) == ("GPU seconds", 3_000_000_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("closed", Outage()),
        ("{open: 0.50 USD}", Outage(policy="open", allowance_microdollars=500_000)),
    ],
)
def test_what_a_tier_does_in_an_outage_is_read(text: str, expected: Outage) -> None:
    assert load(changed("slots: 24", f"slots: 24\n    outage: {text}"), file=FILE).tiers["routing"].outage == expected


def test_a_route_has_a_priority() -> None:
    text = changed("- {name: default, tier: routing}", "- {name: default, tier: routing, priority: -5}")
    assert [route.priority for route in load(text, file=FILE).routes] == [0, 0, -5]


def test_a_key_may_have_a_team_agents_and_an_end() -> None:
    text = changed("name: demo,", 'name: demo, team: research, agents: ["writer-*", router], expires: 2027-01-31,')
    [key] = load(text, file=FILE).keys
    assert (key.team, key.agents, key.expires_unix) == ("research", ("writer-*", "router"), 1_801_440_000.0)
