from typing import Any

import pytest

from tests.tiers.samples import tier, tier_map
from tiers.routing import (
    Candidate,
    Profile,
    UnknownModel,
    candidates,
    escalated,
    likely_context,
    matches,
)
from tiers.tiermap import Comparison, Conditions, Route

SMALL = tier("small", aliases=("gpt-4.1-mini",), fallback=("large", "other"))
LARGE = tier("large", model="org/shared")
OTHER = tier("other", model="org/shared")


def chosen(model: str, *routes: Route, agent: str = "") -> list[tuple[str, str]]:
    found = candidates(tier_map(SMALL, LARGE, OTHER, routes=routes), Profile(model=model, agent=agent))
    return [(candidate.tier.name, candidate.reason) for candidate in found]


@pytest.mark.parametrize(("model", "reason"), [("small", "tier"), ("gpt-4.1-mini", "alias"), ("org/small-8B", "model")])
def test_a_named_tier_comes_first_and_its_fallbacks_follow_in_order(model: str, reason: str) -> None:
    assert chosen(model) == [("small", reason), ("large", "fallback"), ("other", "fallback")]


def test_a_fallbacks_own_fallbacks_are_not_followed() -> None:
    """Two tiers may fall back to each other without a loop."""
    one, two = tier("one", fallback=("two",)), tier("two", fallback=("one",))
    found = candidates(tier_map(one, two), Profile(model="one"))
    assert [candidate.tier.name for candidate in found] == ["one", "two"]


def test_an_unknown_model_says_which_there_are() -> None:
    with pytest.raises(UnknownModel) as caught:
        chosen("Small", Route(name="default", tier="small"))
    assert caught.value.model == "Small"
    assert caught.value.names == ("auto", "gpt-4.1-mini", "large", "org/small-8B", "other", "small")
    assert "gpt-4.1-mini" in str(caught.value)


def test_a_model_that_two_tiers_share_names_neither() -> None:
    with pytest.raises(UnknownModel):
        chosen("org/shared")


def test_without_routes_auto_is_not_offered() -> None:
    with pytest.raises(UnknownModel) as caught:
        chosen("auto")
    assert "auto" not in caught.value.names


def test_auto_takes_the_first_route_that_matches() -> None:
    routes = (
        Route(name="judges", when=Conditions(agent=("judge",)), tier="large"),
        Route(name="agents", when=Conditions(agent=("*",)), tier="other"),
        Route(name="default", tier="small"),
    )
    assert chosen("auto", *routes, agent="judge") == [("large", "route:judges")]
    assert chosen("auto", *routes, agent="writer") == [("other", "route:agents")]
    assert chosen("auto", *routes)[0] == ("small", "route:default")


@pytest.mark.parametrize(
    ("when", "asked", "other"),
    [
        ({"agent": ("a", "b-*")}, {"agent": "b-1"}, {"agent": "B-1"}),
        ({"key": ("demo",)}, {"key": "demo"}, {"key": "demo2"}),
        ({"flow": ("f?",)}, {"flow": "f1"}, {"flow": ""}),
        ({"run": ("*",)}, {"run": "1"}, {"run": ""}),
        ({"tools": True}, {"tools": True}, {"tools": False}),
        ({"tools": False}, {"tools": False}, {"tools": True}),
        ({"response_format": ("json_*",)}, {"response_format": "json_object"}, {"response_format": "text"}),
        (
            {"prompt_tokens": Comparison(operator=">", value=9)},
            {"prompt_tokens": 10},
            {"prompt_tokens": 9},
        ),
    ],
)
def test_each_condition_decides(when: dict[str, Any], asked: dict[str, Any], other: dict[str, Any]) -> None:
    """A condition holds for what it names and for nothing else; case counts; nobody is not anybody."""
    assert matches(Conditions(**when), Profile(model="auto", **asked))
    assert not matches(Conditions(**when), Profile(model="auto", **other))


def test_all_conditions_of_a_route_must_hold() -> None:
    when = Conditions(agent=("a",), tools=True)
    assert not matches(when, Profile(model="auto", agent="a"))
    assert matches(when, Profile(model="auto", agent="a", tools=True))


FOUND = (
    Candidate(tier=tier("small", context=100), reason="tier"),
    Candidate(tier=tier("spare", context=150), reason="fallback"),
    Candidate(tier=tier("huge", context=900), reason="fallback"),
)
LARGER = (tier("large", context=200), tier("huge", context=900))


@pytest.mark.parametrize(
    ("needed", "asked", "expected"),
    [
        (100, False, ["small:tier", "spare:fallback", "huge:fallback"]),
        (101, False, ["large:escalation", "huge:escalation", "spare:fallback"]),
        (160, False, ["large:escalation", "huge:escalation"]),
        (201, False, ["huge:escalation"]),
        (901, False, ["small:tier", "spare:fallback", "huge:fallback"]),
        (10, True, ["large:escalation", "huge:escalation", "small:tier", "spare:fallback"]),
        (201, True, ["huge:escalation"]),
    ],
)
def test_a_request_escalates_to_the_tiers_that_hold_it(needed: int, asked: bool, expected: list[str]) -> None:
    """Where it does not fit or asks for it; where no tier holds it, the endpoint is left to say so."""
    found = escalated(FOUND, LARGER, needed=needed, asked=asked)
    assert [f"{one.tier.name}:{one.reason}" for one in found] == expected


@pytest.mark.parametrize(
    ("prompt_bytes", "max_output", "media", "needed"),
    [(400, None, False, 100), (401, 50, False, 151), (4_000_000, 50, True, 0)],
)
def test_a_request_needs_room_for_its_prompt_and_its_answer(
    prompt_bytes: int, max_output: int | None, media: bool, needed: int
) -> None:
    """Images say nothing: their bytes are no tokens."""
    assert likely_context(prompt_bytes, max_output, media=media) == needed
