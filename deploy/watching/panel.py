"""A panel of a dashboard, and the JSON that Grafana has for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Unit = Literal["s", "short", "reqps", "currencyUSD", "percentunit", "bytes", "tokens/s"]
"""Grafana's names of units."""
Kind = Literal["timeseries", "stat", "table"]
SOURCE: Final[Mapping[str, str]] = {"type": "prometheus", "uid": "${source}"}
"""The data source that whoever looks has chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query; ``legend`` may name labels as ``{{tier}}``."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        about: What it tells, for whoever points at its title.
        width: Of the dashboard's 24 columns.
        stacked: Whether its series are parts of a whole.
        red: From which value on it is shown in red; ``None`` for nothing of that kind.
    """

    title: str
    queries: Sequence[Query]
    about: str
    unit: Unit = "short"
    kind: Kind = "timeseries"
    width: int = 12
    height: int = 8
    stacked: bool = False
    red: float | None = None

    def drawn(self, number: int, *, x: int, y: int) -> dict[str, Any]:
        """As a dashboard has it, with that number and place."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "datasource": dict(SOURCE),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [
                self._target(letter, query) for letter, query in zip("ABCDEFGHIJKL", self.queries, strict=False)
            ],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
        }

    def _target(self, letter: str, query: Query) -> dict[str, Any]:
        now = self.kind != "timeseries"
        return {
            "refId": letter,
            "datasource": dict(SOURCE),
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "instant": now,
            "range": not now,
            "format": "table" if self.kind == "table" else "time_series",
        }

    def _defaults(self) -> dict[str, Any]:
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if self.red is not None:
            steps.append({"color": "red", "value": self.red})
        defaults = {"unit": self.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
        if self.kind != "timeseries":
            return defaults
        return defaults | {
            "custom": {
                "drawStyle": "line",
                "fillOpacity": 30 if self.stacked else 0,
                "lineWidth": 1,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "off" if self.red is None else "line"},
            }
        }

    def _options(self) -> dict[str, Any]:
        if self.kind == "timeseries":
            return {
                "legend": {
                    "displayMode": "table",
                    "placement": "bottom",
                    "showLegend": True,
                    "calcs": ["lastNotNull", "max"],
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        if self.kind == "table":
            return {"showHeader": True, "cellHeight": "sm"}
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
        }
