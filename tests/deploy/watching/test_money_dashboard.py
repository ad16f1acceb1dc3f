"""The dashboard of money."""

from pathlib import Path

from deploy.watching.money_dashboard import money_dashboard
from tests.deploy.watching.drawn import check_promql, check_series


def test_it_shows_what_is_exposed_and_nothing_else(tmp_path: Path) -> None:
    check_series(money_dashboard())
    check_promql(money_dashboard(), tmp_path)


def test_the_bill_stands_beside_what_was_seen_of_it() -> None:
    queries = [query.expr for row in money_dashboard().rows for panel in row.panels for query in panel.queries]
    for series in ("attributed_seconds", "overhead_seconds", "billed_seconds", "drift_ratio"):
        assert any(f"tiergate_bill_{series}" in query for query in queries)
