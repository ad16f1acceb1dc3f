"""The dashboard of one tier."""

from pathlib import Path

from deploy.watching.tier_dashboard import tier_dashboard
from tests.deploy.watching.drawn import check_promql, check_series


def test_it_shows_what_is_exposed_and_nothing_else(tmp_path: Path) -> None:
    check_series(tier_dashboard())
    check_promql(tier_dashboard(), tmp_path)


def test_every_panel_is_of_the_chosen_tier() -> None:
    dashboard = tier_dashboard()
    assert [choice.name for choice in dashboard.choices] == ["tier"]
    for row in dashboard.rows:
        for panel in row.panels:
            assert all('tier=~"$tier"' in query.expr for query in panel.queries), panel.title
