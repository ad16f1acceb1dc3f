"""The files that are written for Prometheus and Grafana."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.errors import BadUsage
from deploy.watching.dashboard import Dashboard
from deploy.watching.fleet_dashboard import fleet_dashboard
from deploy.watching.flow_dashboard import flow_dashboard
from deploy.watching.money_dashboard import money_dashboard
from deploy.watching.rules import rules_yaml
from deploy.watching.tier_dashboard import tier_dashboard

RULES: Final = "prometheus/tiergate.rules.yaml"


def dashboards() -> tuple[Dashboard, ...]:
    """Every dashboard there is."""
    return (fleet_dashboard(), tier_dashboard(), flow_dashboard(), money_dashboard())


def monitoring_files(runbooks: str) -> Mapping[str, str]:
    """Path below the chosen folder → text; ``runbooks`` is where the runbooks' pages are."""
    drawn = {f"grafana/tiergate-{dashboard.name}.json": dashboard.text() for dashboard in dashboards()}
    return {RULES: rules_yaml(runbooks.rstrip("/")), **drawn}


def write_files(folder: Path, runbooks: str) -> list[Path]:
    """Write them all below ``folder``, over what is there; returns their paths.

    Raises:
        BadUsage: One cannot be written.
    """
    written = []
    for name, text in monitoring_files(runbooks).items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadUsage(f"cannot write {path}: {error.strerror}", remedy="choose another --output") from error
        written.append(path)
    return written
