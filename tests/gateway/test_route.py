"""Which tiers may serve a request, for this caller."""

from typing import Any

import pytest

from gateway.errors import InvalidRequest, ModelNotFound, TierNotAllowed
from gateway.exchange import Caller
from gateway.route import Router
from gateway.wire.identity import Identity
from tests.gateway.samples import CALLER, call, tier_map, token_tier
from tiers.tiermap import Comparison, Conditions, Route

ROUTES = (
    Route(name="agents", when=Conditions(agent=("router",)), tier="routing"),
    Route(name="keys", when=Conditions(key=("batch",)), tier="routing"),
    Route(name="flows", when=Conditions(flow=("report",), run=("r1",)), tier="routing"),
    Route(name="long", when=Conditions(prompt_tokens=Comparison(operator=">", value=100)), tier="routing"),
    Route(name="tools", when=Conditions(tools=True), tier="routing"),
    Route(name="forms", when=Conditions(response_format=("json_schema",)), tier="routing"),
    Route(name="default", tier="reasoning"),
)
MAP = tier_map(
    token_tier("routing", aliases=("small",), fallback=("reasoning",)), token_tier("reasoning"), routes=ROUTES
)
ROUTER = Router(MAP)


def chosen(model: str, caller: Caller = CALLER) -> list[tuple[str, str]]:
    return [(one.tier.name, one.reason) for one in ROUTER(call(model), Identity(), caller)]


def test_a_named_tier_comes_first_and_its_fallback_after() -> None:
    """By the tier's name, an alias, or its model."""
    assert chosen("routing") == [("routing", "tier"), ("reasoning", "fallback")]
    assert chosen("small") == [("routing", "alias"), ("reasoning", "fallback")]
    assert chosen("org/routing-8B") == [("routing", "model"), ("reasoning", "fallback")]
    assert chosen("reasoning") == [("reasoning", "tier")]


@pytest.mark.parametrize(
    ("route", "identity", "fields", "caller"),
    [
        ("agents", Identity(agent="router"), {}, CALLER),
        ("keys", Identity(), {}, Caller(name="batch")),
        ("flows", Identity(flow="report", run="r1"), {}, CALLER),
        ("long", Identity(), {"user": "x" * 400}, CALLER),
        ("tools", Identity(), {"tools": [{}]}, CALLER),
        ("forms", Identity(), {"response_format": {"type": "json_schema"}}, CALLER),
        ("default", Identity(agent="writer"), {}, CALLER),
    ],
)
def test_auto_asks_all_that_is_known_of_a_request(
    route: str, identity: Identity, fields: dict[str, Any], caller: Caller
) -> None:
    """Who calls, how long the prompt is, what it wants."""
    assert ROUTER(call("auto", **fields), identity, caller)[0].reason == f"route:{route}"


def test_an_unknown_model_is_404_and_names_what_there_is() -> None:
    """Only what this key may use."""
    with pytest.raises(ModelNotFound, match=r"'gpt-9'.*routing.*auto") as caught:
        chosen("gpt-9")
    assert caught.value.param == "model"
    with pytest.raises(ModelNotFound) as caught:
        chosen("gpt-9", Caller(name="k", tiers=frozenset({"reasoning"})))
    assert "routing" not in caught.value.message


def test_auto_without_routes_is_no_model() -> None:
    """There is nothing to choose by."""
    router = Router(tier_map(token_tier()))
    with pytest.raises(ModelNotFound):
        router(call("auto"), Identity(), CALLER)
    assert "auto" not in router.names(CALLER)


def test_a_long_list_of_names_is_cut() -> None:
    """An error is read by people."""
    router = Router(tier_map(*(token_tier(f"tier-{i}") for i in range(30))))
    with pytest.raises(ModelNotFound, match=r", …\.$") as caught:
        router(call("unknown"), Identity(), CALLER)
    assert caught.value.message.partition("There are: ")[2].count(",") == 20


def test_a_key_may_use_its_own_tiers_only() -> None:
    """Others are 403 when named, and left out as fallback."""
    caller = Caller(name="k", tiers=frozenset({"routing"}))
    assert chosen("routing", caller) == [("routing", "tier")]
    for model in ("reasoning", "auto"):
        with pytest.raises(TierNotAllowed, match="'k' may not use the tier 'reasoning'"):
            chosen(model, caller)


def test_names_are_what_the_key_may_send_as_model() -> None:
    """Each with the tier that serves it."""
    assert ROUTER.names(CALLER) == {
        "routing": "routing",
        "small": "routing",
        "org/routing-8B": "routing",
        "reasoning": "reasoning",
        "org/reasoning-8B": "reasoning",
        "auto": "auto",
    }
    assert ROUTER.names(Caller(name="k", tiers=frozenset())) == {"auto": "auto"}


def test_how_much_a_request_may_have_is_the_tiers_and_with_its_escalations_more() -> None:
    """As far as the key may go; of ``auto`` it is what every route keeps."""
    router = Router(
        tier_map(
            token_tier("small", context=1000, escalation=("large",)),
            token_tier("large", context=5000),
            token_tier("middle", context=2000),
            routes=(
                Route(name="agents", when=Conditions(agent=("a",)), tier="small"),
                Route(name="rest", tier="middle"),
            ),
        )
    )
    assert router.contexts("small", CALLER) == (1000, 5000)
    assert router.contexts("large", CALLER) == (5000, 5000)
    assert router.contexts("auto", CALLER) == (1000, 2000)
    narrow = Caller(name="k", tiers=frozenset({"small"}))
    assert router.contexts("small", narrow) == (1000, 1000)
    assert router.contexts("auto", narrow) == (1000, 1000)
    assert router.contexts("auto", Caller(name="k", tiers=frozenset())) is None


UPWARD = Router(
    tier_map(
        token_tier("routing", escalation=("large", "huge"), downgrade="cheap"),
        token_tier("large", context=2000),
        token_tier("huge", context=3000),
        token_tier("cheap"),
    )
)


@pytest.mark.parametrize(
    ("fields", "header", "tiers", "expected"),
    [
        ({}, None, None, ["routing"]),
        ({}, b"false", None, ["routing"]),
        ({}, b" TRUE ", None, ["large", "huge", "routing"]),
        ({}, b"true", {"routing", "huge"}, ["huge", "routing"]),
        ({"max_tokens": 1500}, None, None, ["large", "huge"]),
        ({"max_tokens": 2500}, None, None, ["huge"]),
        ({"max_tokens": 1500}, None, {"routing"}, ["routing"]),
    ],
)
def test_what_does_not_fit_or_asks_for_it_begins_with_a_larger_tier(
    fields: dict[str, Any], header: bytes | None, tiers: set[str] | None, expected: list[str]
) -> None:
    """Among those that the caller may use."""
    caller = Caller(name="k", tiers=None if tiers is None else frozenset(tiers))
    asked = call("routing", **fields)
    headers = [(b"accept", b"*/*")] + ([] if header is None else [(b"x-tiergate-escalate", header)])
    found = UPWARD.escalated(UPWARD(asked, Identity(), caller), asked, headers, caller)
    assert [one.tier.name for one in found] == expected


def test_an_escalation_is_asked_for_with_true_or_false() -> None:
    with pytest.raises(InvalidRequest, match="true or false"):
        UPWARD.escalated(
            UPWARD(call("routing"), Identity(), CALLER), call("routing"), [(b"x-tiergate-escalate", b"yes")], CALLER
        )


def test_the_cheaper_tier_is_one_that_the_key_may_use() -> None:
    routing, large = (UPWARD(call(name), Identity(), CALLER)[0].tier for name in ("routing", "large"))
    cheaper = UPWARD.cheaper(routing, CALLER)
    assert cheaper is not None
    assert cheaper.name == "cheap"
    assert UPWARD.cheaper(routing, Caller(name="k", tiers=frozenset({"routing"}))) is None
    assert UPWARD.cheaper(large, CALLER) is None
