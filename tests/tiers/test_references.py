import pytest

from tests.tiers.samples import changed, line_of, problems


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("fallback: [reasoning]", "fallback: [rezoning]", "tiers.routing.fallback[0]", 'tier is called "rezo'),
        ('"classifier-*"]}, tier: routing', '"classifier-*"]}, tier: rooting', "routes[0].tier", "rooting"),
        ("{tier: reasoning}", "{tier: rezoning}", "budgets[0].owner.tier", "no tier is called"),
        ("{tier: reasoning}", '{tier: "x-*"}', "budgets[0].owner.tier", "no tier is called"),
        ('{agent: "*"}', "{tier: rezoning}", "budgets[1].owner.tier", 'no tier is called "rezoning"'),
        ("name: demo,", "name: demo, tiers: [rooting],", "keys[0].tiers[0]", "no tier is called"),
        ("fallback: [reasoning]", "fallback: [routing]", "tiers.routing.fallback[0]", "falls back to itself"),
        (
            "fallback: [reasoning]",
            "fallback: [reasoning, reasoning]",
            "tiers.routing.fallback[1]",
            "is there twice",
        ),
        ("fallback: [reasoning]", "escalation: [rezoning]", "tiers.routing.escalation[0]", 'tier is called "rezo'),
        ("fallback: [reasoning]", "escalation: [routing]", "tiers.routing.escalation[0]", "escalates to itself"),
        ("fallback: [reasoning]", "downgrade: rezoning", "tiers.routing.downgrade", 'tier is called "rezo'),
        ("fallback: [reasoning]", "downgrade: routing", "tiers.routing.downgrade", "is downgraded to itself"),
    ],
)
def test_a_name_that_leads_nowhere(old: str, new: str, field: str, message: str) -> None:
    text = changed(old, new)
    [problem] = problems(text)
    assert (problem.field, problem.line) == (field, line_of(text, new))
    assert message in problem.message


def test_a_dangling_name_says_what_was_probably_meant() -> None:
    [problem] = problems(changed("fallback: [reasoning]", "fallback: [resoning]"))
    assert problem.remedy == 'use one of: routing, reasoning, external; did you mean "reasoning"?'


@pytest.mark.parametrize(
    "owner", ['{tier: "r*"}', "{key: made-later}", "{team: research}", '{run: "*"}', "{flow: any}", '{all: "*"}']
)
def test_budgets_may_name_patterns_and_what_the_map_cannot_know(owner: str) -> None:
    assert problems(changed("{tier: reasoning}", owner)) == ()


def test_routes_may_name_keys_that_are_made_later() -> None:
    assert problems(changed('{agent: ["router", "classifier-*"]}', "{key: [demo, made-later]}")) == ()


def test_a_limit_of_a_tier_that_is_not_there_is_found() -> None:
    text = changed("keys:\n", "limits:\n  - {name: calm, owner: {tier: rezoning}, concurrency: 2}\nkeys:\n")
    [problem] = problems(text)
    assert (problem.field, problem.message) == ("limits[0].owner.tier", 'no tier is called "rezoning"')


def test_a_fallback_of_another_shape_is_left_to_the_schema() -> None:
    [problem] = problems(changed("fallback: [reasoning]", "fallback: reasoning"))
    assert problem.message == "must be a list"
