import pytest

from tests.tiers.samples import changed, problems, tier
from tiers.naming import names


def test_a_tiers_name_goes_before_an_alias_and_an_alias_before_a_model() -> None:
    one = tier("one", model="two", aliases=("three",))
    two = tier("two", model="three")
    assert names({"one": one, "two": two}) == {
        "one": (one, "tier"),
        "two": (two, "tier"),
        "three": (one, "alias"),
    }


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("claude-fast", "another provider"),
        ("gemini-2", "another provider"),
        ("gemma-small", "another provider"),
        ("learnlm-x", "another provider"),
        ("my-anthropic.x", "another provider"),
        ("pro1-tier", "without tools"),
        ("like-gpt-5", "without stop words"),
    ],
)
def test_tier_names_that_crewai_misreads_are_refused(name: str, effect: str) -> None:
    [problem] = problems(changed("  external:", f"  {name}:"))
    assert (problem.line, problem.column, problem.field) == (21, 3, f"tiers.{name}")
    assert effect in problem.message


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("  external:", "  External:", "tiers.External"),
        ("  external:", '  "":', "tiers."),
        ("name: reasoning-daily", "name: reasoning daily", "budgets[0].name"),
        ("name: demo", "name: -demo", "keys[0].name"),
        ("name: long prompts", "name: Long prompts", "routes[1].name"),
        ("name: long prompts", f"name: {'x' * 64}", "routes[1].name"),
    ],
)
def test_names_are_lower_case_and_only_routes_have_spaces(old: str, new: str, field: str) -> None:
    [problem] = problems(changed(old, new))
    assert problem.field == field
    assert "no valid name" in problem.message
    assert ("spaces" in problem.remedy) == field.startswith("routes")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("  external:", "  auto:", "tiers.auto"),
        ("[gpt-4.1-mini]", "[auto]", "tiers.routing.aliases[0]"),
        ("model: gpt-4o-mini", "model: auto", "tiers.external.model"),
    ],
)
def test_auto_is_reserved(old: str, new: str, field: str) -> None:
    [problem] = problems(changed(old, new))
    assert problem.field == field
    assert "reserved" in problem.message


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("[gpt-4.1-mini]", "[reasoning]", "tiers.routing.aliases[0]", "is the name of another tier"),
        (
            "model: gpt-4o-mini",
            "model: gpt-4o-mini\n    aliases: [gpt-4.1-mini]",
            "tiers.external.aliases[0]",
            'is taken by tier "routing"',
        ),
        ("model: gpt-4o-mini", "model: routing", "tiers.external.model", "is the name of another tier"),
        (
            "model: gpt-4o-mini",
            "model: gpt-4.1-mini",
            "tiers.external.model",
            'is an alias of tier "routing"',
        ),
    ],
)
def test_a_name_means_one_tier(old: str, new: str, field: str, message: str) -> None:
    [problem] = problems(changed(old, new))
    assert problem.field == field
    assert message in problem.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model: gpt-4o-mini", "model: meta-llama/Llama-3.1-8B-Instruct"),
        ("[gpt-4.1-mini]", "[gpt-4.1-mini, routing]"),
        ("model: gpt-4o-mini", "model: external"),
    ],
)
def test_two_tiers_may_serve_one_model_and_a_tier_may_repeat_its_own_names(old: str, new: str) -> None:
    assert problems(changed(old, new)) == ()


@pytest.mark.parametrize(
    ("old", "field"),
    [
        ("name: per-agent", "budgets[1].name"),
        ("name: long prompts", "routes[1].name"),
    ],
)
def test_names_are_given_once(old: str, field: str) -> None:
    first = "reasoning-daily" if field.startswith("budgets") else "classifiers"
    [problem] = problems(changed(old, f"name: {first}"))
    assert problem.field == field
    assert f'another one is called "{first}"' in problem.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[gpt-4.1-mini]", "[1]"),
        ("model: gpt-4o-mini", "model: 1"),
        ("name: demo", "name: 1"),
    ],
)
def test_what_is_no_text_is_left_to_the_schema(old: str, new: str) -> None:
    [problem] = problems(changed(old, new))
    assert problem.message == "must be text"


def test_a_limit_and_a_budget_have_names_of_their_own() -> None:
    """Refusals and balances name both alike."""
    limit = '{name: per-agent, owner: {agent: "*"}, concurrency: 1}'
    [problem] = problems(changed("keys:\n", f"limits: [{limit}]\nkeys:\n"))
    assert (problem.field, problem.message) == ("limits[0].name", 'another budget is called "per-agent"')
    first, again = limit.replace("per-agent", "calm"), limit.replace("per-agent", "calm")
    [problem] = problems(changed("keys:\n", f"limits: [{first}, {again}]\nkeys:\n"))
    assert (problem.field, problem.message) == ("limits[1].name", 'another one is called "calm"')
