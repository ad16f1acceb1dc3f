"""The rule file for Prometheus."""

from collections.abc import Sequence
from typing import Any, Final

import yaml

from deploy.watching.alert import Alert
from deploy.watching.cpu_alerts import cpu_alerts
from deploy.watching.gateway_alerts import gateway_alerts
from deploy.watching.gpu_alerts import gpu_alerts
from deploy.watching.money_alerts import money_alerts
from deploy.watching.recordings import recordings

SLOW_INTERVAL: Final = "10m"
"""Rules that look back over days are worked out so often, the others as often as Prometheus is set to."""
_LONG: Final = ("TiergateEndpointUnused", "TiergateEndpointPausesSoon", "TiergateBillDrift")
_WIDTH: Final = 1_000_000
_HEAD: Final = "# Written by `tiergate-deploy monitoring`: change deploy/watching, not this file.\n"


def alerts() -> tuple[Alert, ...]:
    """Every alert there is."""
    return (*gateway_alerts(), *gpu_alerts(), *cpu_alerts(), *money_alerts())


def rule_groups(runbooks: str) -> dict[str, Any]:
    """The content of the file; ``runbooks`` is where the runbooks' pages are."""
    every = alerts()
    return {
        "groups": [
            {"name": "tiergate-recordings", "rules": [recording.rule() for recording in recordings()]},
            _group("tiergate-alerts", [alert for alert in every if alert.name not in _LONG], runbooks),
            _group("tiergate-days", [alert for alert in every if alert.name in _LONG], runbooks)
            | {"interval": SLOW_INTERVAL},
        ]
    }


def rules_yaml(runbooks: str) -> str:
    """The file's text."""
    return _HEAD + yaml.safe_dump(rule_groups(runbooks), sort_keys=False, allow_unicode=True, width=_WIDTH)


def _group(name: str, of: Sequence[Alert], runbooks: str) -> dict[str, Any]:
    return {"name": name, "rules": [alert.rule(runbooks) for alert in of]}
