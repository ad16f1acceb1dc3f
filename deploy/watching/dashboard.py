"""A dashboard of panels in rows, and the JSON that Grafana has for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from deploy.watching.panel import SOURCE, Panel

COLUMNS: Final = 24
SCHEMA: Final = 39
"""Grafana's schema of dashboards: that of Grafana 11; later ones take it and bring it up to theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one title, from left to right; what does not fit goes below."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A label whose values can be chosen at the dashboard's top: ``$name`` in its queries, to be matched by ``=~``."""

    name: str
    series: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard; ``name`` is its file's and its address's."""

    name: str
    title: str
    about: str
    rows: Sequence[Row]
    choices: Sequence[Choice] = ()

    def text(self) -> str:
        """The file's text."""
        return json.dumps(self.drawn(), indent=1, ensure_ascii=False) + "\n"

    def drawn(self) -> dict[str, Any]:
        """The file's content."""
        return {
            "uid": f"tiergate-{self.name}",
            "title": f"Tiergate: {self.title}",
            "description": self.about,
            "tags": ["tiergate"],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "timezone": "browser",
            "time": {"from": "now-3h", "to": "now"},
            "annotations": {"list": []},
            "links": [_others()],
            "templating": {"list": [_source(), *(_chosen(choice) for choice in self.choices)]},
            "panels": self._panels(),
        }

    def _panels(self) -> list[dict[str, Any]]:
        drawn: list[dict[str, Any]] = []
        y = 0
        for row in self.rows:
            drawn.append(
                {
                    "id": len(drawn) + 1,
                    "type": "row",
                    "title": row.title,
                    "collapsed": False,
                    "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
                    "panels": [],
                }
            )
            y += 1
            x = height = 0
            for panel in row.panels:
                if x + panel.width > COLUMNS:
                    x, y, height = 0, y + height, 0
                drawn.append(panel.drawn(len(drawn) + 1, x=x, y=y))
                x, height = x + panel.width, max(height, panel.height)
            y += height
        return drawn


def _others() -> dict[str, Any]:
    """The menu of the other dashboards, which keeps the time that is looked at."""
    return {
        "title": "Tiergate",
        "type": "dashboards",
        "tags": ["tiergate"],
        "asDropdown": True,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}


def _chosen(choice: Choice) -> dict[str, Any]:
    query = f"label_values({choice.series}, {choice.name})"
    return {
        "name": choice.name,
        "label": choice.name,
        "type": "query",
        "datasource": dict(SOURCE),
        "query": {"query": query, "refId": choice.name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }
