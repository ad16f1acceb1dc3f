"""The figures that the aims are about, taken from the results of the parts."""

from collections.abc import Mapping
from statistics import median
from typing import Any

Results = Mapping[str, Any]
"""Part's name → what it found; a part that was not run is missing."""


def race(results: Results, target: str, scenario: str, field: str) -> float | None:
    """The median of a field over the rounds of the race."""
    rows = results.get("race", {}).get("rows", [])
    values = [row[field] for row in rows if row["target"] == target and row["scenario"] == scenario and field in row]
    return median(values) if values else None


def cpu_ratio(results: Results, scenario: str, over: str, under: str) -> float | None:
    """How many times ``under``'s CPU per request ``over`` takes."""
    above, below = race(results, over, scenario, "cpu_us"), race(results, under, scenario, "cpu_us")
    return None if above is None or not below else above / below


def added(results: Results, scenario: str, field: str) -> float | None:
    """Milliseconds that the gateway adds to what the endpoint alone takes under the same load."""
    through, alone = race(results, "tiergate", scenario, field), race(results, "direct", scenario, field)
    return None if through is None or alone is None else through - alone


def rss(results: Results) -> float | None:
    """The gateway's resident MiB under the race's JSON load: the highest of the rounds."""
    rows = results.get("race", {}).get("rows", [])
    found = [row["rss"] for row in rows if row["target"] == "tiergate" and row["scenario"] == "json_c64"]
    return max(found) if found else None


def found(results: Results, part: str, *fields: str) -> float | None:
    """A number that a part found, by its way through the part's result."""
    value: Any = results.get(part)
    for field in fields:
        value = value.get(field) if isinstance(value, Mapping) else None
    return None if value is None else float(value)


def lost_streams(results: Results) -> float | None:
    """Slow streams that did not come whole, and tokens that came in one piece with another."""
    part = results.get("streams")
    return None if part is None else float(part["streams"] - part["through"]["complete"] + part["through"]["batched"])


def extra_delay(results: Results) -> float | None:
    """Milliseconds by which the 99th percentile of events is later than from the mock itself."""
    through, alone = (found(results, "streams", side, "delay_p99_ms") for side in ("through", "direct"))
    return None if through is None or alone is None else through - alone


def wrong_answers(results: Results) -> float | None:
    """Answers that were not what was asked for: in the isolation check and in the soak."""
    checked, soaked = results.get("isolation"), results.get("soak")
    if checked is None and soaked is None:
        return None
    calls = (soaked or {}).get("calls", {})
    checks = [(checked or {}).get(field, 0) for field in ("bad", "errors")]
    return float(sum(checks) + calls.get("bad", 0) + calls.get("lost", 0))


def growth(results: Results, what: str) -> float | None:
    """Growth in the soak beyond what counts as flat; 0 is flat."""
    judged = results.get("soak", {}).get(what)
    if judged is None:
        return None
    return 0.0 if judged["flat"] else float(judged["slope"])
