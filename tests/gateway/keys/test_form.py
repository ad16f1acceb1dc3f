"""What is said of a new key."""

from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.keys.form import bounds_of, read_key

BUDGET: dict[str, Any] = {"name": "daily", "limit": "5 USD", "window": "1d"}
LIMIT: dict[str, Any] = {"name": "pace", "requests_per_minute": 60, "concurrency": 4}


def test_a_keys_bounds_are_its_own_under_its_name() -> None:
    budgets, concurrency = bounds_of("ci", [BUDGET | {"owner": {"all": "*"}}], [LIMIT])
    assert [(each.name, each.owner.kind, each.owner.pattern, each.limit, each.rate) for each in budgets] == [
        ("ci/daily", "key", "ci", 5_000_000, False),
        ("ci/pace", "key", "ci", 60, True),
    ]
    assert [(each.name, each.owner.pattern, each.slots) for each in concurrency] == [("ci/pace", "ci", 4)]


@pytest.mark.parametrize(
    "written",
    [
        None,
        {},
        {"name": ""},
        {"name": "a*"},
        {"name": "ci", "tiers": []},
        {"name": "ci", "colour": "red"},
        {"name": "ci", "budgets": [{"name": "x"}]},
        {"name": "ci", "limits": [{"name": "x", "concurrency": 0}]},
        {"name": "ci", "expires": "soon"},
    ],
)
def test_what_is_no_key_is_refused(written: object) -> None:
    with pytest.raises(InvalidRequest):
        read_key(written)
