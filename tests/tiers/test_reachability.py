from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers.samples import WHOLE, changed, problems
from tiers.reachability import covers
from tiers.routing import Profile, matches
from tiers.tiermap import Comparison, Conditions

MORE = Comparison(operator=">", value=100)
LAST = "  - {name: default, tier: routing}\n"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({}, {"agent": ("a",)}),
        ({"agent": ("a",)}, {"agent": ("a",)}),
        ({"agent": ("*",)}, {"agent": ("a-?",)}),
        ({"agent": ("w-*",)}, {"agent": ("w-1", "w-2*")}),
        ({"agent": ("w-?",)}, {"agent": ("w-1",)}),
        ({"agent": ("a",)}, {"agent": ("a",), "tools": True}),
        ({"tools": True}, {"tools": True, "key": ("k",)}),
        ({"flow": ("f",)}, {"flow": ("f",)}),
        ({"run": ("*",)}, {"run": ("r",)}),
        ({"prompt_tokens": MORE}, {"prompt_tokens": Comparison(operator=">=", value=101)}),
        (
            {"prompt_tokens": Comparison(operator="<=", value=9)},
            {"prompt_tokens": Comparison(operator="<", value=10)},
        ),
        ({"prompt_tokens": Comparison(operator=">=", value=0)}, {}),
        ({"response_format": ("json_*",)}, {"response_format": ("json_schema",)}),
        ({"response_format": ("text", "json_*")}, {}),
    ],
)
def test_an_equal_or_looser_route_covers(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    assert covers(Conditions(**earlier), Conditions(**later))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"agent": ("a",)}, {}),
        ({"agent": ("*",)}, {}),
        ({"agent": ("a",)}, {"agent": ("a", "b")}),
        ({"agent": ("w-*",)}, {"agent": ("*",)}),
        ({"agent": ("*-w",)}, {"agent": ("a*",)}),
        ({"tools": True}, {"tools": False}),
        ({"prompt_tokens": MORE}, {"prompt_tokens": Comparison(operator=">", value=99)}),
        ({"response_format": ("json_schema",)}, {"response_format": ("json_*",)}),
        ({"key": ("k",)}, {"agent": ("k",)}),
    ],
)
def test_a_narrower_or_other_route_does_not_cover(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    assert not covers(Conditions(**earlier), Conditions(**later))


texts = st.lists(st.text("ab*?", min_size=1, max_size=3), max_size=2).map(tuple)
conditions = st.builds(
    Conditions,
    agent=texts,
    key=st.just(()),
    flow=st.just(()),
    run=st.just(()),
    tools=st.sampled_from([None, True, False]),
    prompt_tokens=st.none()
    | st.builds(Comparison, operator=st.sampled_from(["<", "<=", ">", ">="]), value=st.integers(0, 4)),
    response_format=st.lists(st.sampled_from(["text", "json_*", "*"]), max_size=2).map(tuple),
)
profiles = st.builds(
    Profile,
    model=st.just("auto"),
    agent=st.text("ab", max_size=3),
    prompt_tokens=st.integers(0, 5),
    tools=st.booleans(),
    response_format=st.sampled_from(["text", "json_object", "json_schema"]),
)


@given(earlier=conditions, later=conditions, profile=profiles)
def test_what_is_called_covered_is_covered(earlier: Conditions, later: Conditions, profile: Profile) -> None:
    """A reachable route is never blamed."""
    if covers(earlier, later) and matches(later, profile):
        assert matches(earlier, profile)


def test_a_last_route_with_a_condition_leaves_requests_without_a_tier() -> None:
    [problem] = problems(changed(LAST, ""))
    assert (problem.field, problem.line) == ("routes[1]", 31)
    assert "the last route has a condition" in problem.message


def test_routes_after_one_without_conditions_are_never_reached() -> None:
    late = "  - {name: late, when: {tools: true}, tier: routing}\n  - {name: end, tier: routing}\n"
    found = problems(changed(LAST, LAST + late))
    assert [(each.field, each.line) for each in found] == [("routes[3]", 33), ("routes[4]", 34)]
    assert all('the route "default" takes all it asks for' in each.message for each in found)


def test_a_route_that_no_number_satisfies_is_never_reached() -> None:
    [problem] = problems(changed('">12000"', '"<0"'))
    assert problem.field == "routes[1].when.prompt_tokens"


def test_without_routes_auto_is_just_not_offered() -> None:
    start, end = "routes:", "budgets:"
    text = WHOLE[: WHOLE.index(start)] + WHOLE[WHOLE.index(end) :]
    assert problems(text) == ()


def test_a_route_that_cannot_be_read_blames_no_other() -> None:
    [problem] = problems(changed('{agent: ["router", "classifier-*"]}', "{agents: router}"))
    assert problem.field == "routes[0].when.agents"


def test_a_route_of_another_shape_blames_no_other() -> None:
    [problem] = problems(changed(LAST, "  - 3\n"))
    assert problem.field == "routes[2]"
