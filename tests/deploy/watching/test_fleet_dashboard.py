"""The dashboard of whole fleet."""

from pathlib import Path

from deploy.watching.fleet_dashboard import fleet_dashboard
from tests.deploy.watching.drawn import check_promql, check_series


def test_it_shows_what_is_exposed_and_nothing_else(tmp_path: Path) -> None:
    check_series(fleet_dashboard())
    check_promql(fleet_dashboard(), tmp_path)


def test_it_shows_what_is_wrong_first() -> None:
    assert fleet_dashboard().rows[0].panels[0].title == "Alerts"
