import pytest

from tests.tiers.samples import changed, problems
from tiers.budget_document import BudgetDocument, LimitDocument
from tiers.tiermap import Budget, Owner
from tiers.windows import Window


def test_what_is_left_out_is_what_the_domain_leaves_out() -> None:
    left_out = BudgetDocument.model_validate({"name": "a", "owner": {"all": "*"}, "limit": "1 USD", "window": "1d"})
    whole = Budget(name="a", owner=Owner(kind="all", pattern="*"), unit="USD", limit=1, window=Window(seconds=1))
    assert (left_out.spent, left_out.alerts) == (whole.spent, whole.alerts)
    assert left_out.timezone == whole.window.zone


def test_examples_can_be_read() -> None:
    """What a problem offers as an example is valid."""
    for form in (BudgetDocument, LimitDocument):
        values = {name: field.examples[0] for name, field in form.model_fields.items() if field.examples}
        assert form.model_validate(values).name == values["name"]


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ("window: 1d, spent: ignore", "spent", "must be 'downgrade', 'reject' or 'shadow'"),
        ("window: 1d, rolling: often", "rolling", "must be true or false"),
        ("window: 1d, timezone: Berlin", "timezone", "is no time zone"),
        ("window: 2mo", "window", "is longer than a month"),
        ("window: 1d, alerts: {at: [], webhook: env:A}", "alerts.at", "names no part"),
        ("window: 1d, alerts: {at: [80], webhook: env:A}", "alerts.at", "must be parts of the limit in percent"),
        ("window: 1d, alerts: {at: [80%, 80%], webhook: env:A}", "alerts.at", "80% is there twice"),
        ("window: 1d, alerts: {at: [0%], webhook: env:A}", "alerts.at", "is no part of a budget"),
        ("window: 1d, alerts: {at: 80%}", "alerts.webhook", "is missing"),
        ("window: 1d, alerts: {at: 80%, webhook: hooks.example.com}", "alerts.webhook", "is no webhook"),
    ],
)
def test_what_is_wrong_with_a_budget_is_said_at_its_field(fields: str, field: str, message: str) -> None:
    [problem] = problems(changed("window: 1d", fields))
    assert problem.field == f"budgets[0].{field}"
    assert message in problem.message


@pytest.mark.parametrize(
    "bound", ["requests_per_minute: 0", "tokens_per_minute: -1", "concurrency: 0", "concurrency: 1.5"]
)
def test_what_is_wrong_with_a_limit_is_said_at_its_field(bound: str) -> None:
    text = changed("keys:\n", f'limits:\n  - {{name: calm, owner: {{agent: "*"}}, {bound}}}\nkeys:\n')
    assert [each.field for each in problems(text)] == [f"limits[0].{bound.partition(':')[0]}"]
