"""Findings for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from deploy.verify.finding import Finding

_LAYERS = ("control plane", "endpoint", "gateway", "orchestrator", "Flow")
_MARKS = {"passed": "ok     ", "failed": "FAILED ", "skipped": "skipped"}


def line(finding: Finding) -> str:
    """A finding as it is told when it is made; evidence and remedy below it where it failed."""
    where = f"{finding.layer} {finding.subject}".rstrip()
    first = f"{_MARKS[finding.verdict]} {where}: {finding.check}"
    if finding.verdict == "failed":
        more = [f"        {seen}" for seen in finding.evidence]
        return "\n".join([f"{first} [{finding.cause}]", *more, f"        what to do: {finding.remedy}"])
    seen = "; ".join(finding.evidence)
    took = f", {finding.seconds:.1f} s" if finding.verdict == "passed" else ""
    return f"{first} ({seen}{took})" if seen else first


def summary(findings: Sequence[Finding]) -> str:
    """The last line: how many of each, and where it fails first."""
    counts = {verdict: sum(one.verdict == verdict for one in findings) for verdict in _MARKS}
    text = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    failed = next((one for one in in_order(findings) if one.verdict == "failed"), None)
    return text if failed is None else f"{text}; begin with {failed.layer} {failed.subject}".rstrip()


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """From the lowest layer to the highest; one subject's stay together."""
    return sorted(findings, key=lambda one: (_LAYERS.index(one.layer), one.subject))


def as_json(findings: Sequence[Finding]) -> str:
    """All of them, lowest layer first."""
    passed = all(one.verdict != "failed" for one in findings)
    return json.dumps({"passed": passed, "findings": [asdict(one) for one in in_order(findings)]}, indent=2) + "\n"
