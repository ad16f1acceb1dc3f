import pytest

from tests.tiers.samples import WHOLE, changed
from tiers.load import load
from tiers.tiermap import Comparison, SecretReference


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_comparisons(operator: str, below: bool, equal: bool, above: bool) -> None:
    bound = Comparison(operator=operator, value=10)
    assert (bound.holds(9), bound.holds(10), bound.holds(11)) == (below, equal, above)


def test_a_reference_reads_as_it_was_written() -> None:
    assert str(SecretReference("env", "NAME")) == "env:NAME"


def test_a_printed_tier_map_holds_no_password_and_no_hash() -> None:
    text = changed("store: embedded", "store: redis://:hunter2@store:6379/0").replace(
        "key: env:TIERGATE_DEMO_KEY", f"hash: {'ab' * 32}"
    )
    assert "hunter2" not in repr(load(text, file="tiers.yaml"))
    assert "abab" not in repr(load(text, file="tiers.yaml"))
    assert "routing" in repr(load(WHOLE, file="tiers.yaml"))


def test_a_budget_knows_how_long_its_window_usually_is() -> None:
    assert [budget.window_seconds for budget in load(WHOLE, file="tiers.yaml").budgets] == [86_400, 3600]
