"""What an alert is."""

import re
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["page", "ticket"]
"""``page``: somebody has to look now, at any hour. ``ticket``: on the next working day."""
AlertLayer = Literal["gpu", "cpu", "gateway", "store", "money"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert rule.

    Attributes:
        name: Begins with ``Tiergate``; the runbook's page is named after the rest.
        expr: PromQL that has a result while something is wrong.
        lasts: For how long it must have one before anybody is told, as Prometheus writes durations.
        layer: Where the cause is looked for first.
        summary: What is wrong, in one sentence; may name labels as ``{{ $labels.tier }}``.
        advice: What helps most often, in one or two sentences.
    """

    name: str
    expr: str
    lasts: str
    severity: Severity
    layer: AlertLayer
    summary: str
    advice: str

    @property
    def page(self) -> str:
        """The file name of its runbook: ``TiergateStoreDown`` has ``store-down.md``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", self.name.removeprefix("Tiergate")).lower() + ".md"

    def rule(self, runbooks: str) -> dict[str, Any]:
        """As a rule file has it; ``runbooks`` is where the pages are, without a slash at its end."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasts,
            "labels": {"severity": self.severity, "layer": self.layer},
            "annotations": {
                "summary": self.summary,
                "description": self.advice,
                "runbook_url": f"{runbooks}/{self.page}",
            },
        }
