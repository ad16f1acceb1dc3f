"""What one check found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["passed", "failed", "skipped"]
Layer = Literal["control plane", "endpoint", "gateway", "orchestrator", "Flow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's outcome.

    Attributes:
        layer: Where it was looked.
        subject: At what: an endpoint's key, a tier, a Flow; empty where there is one alone.
        check: What was asked.
        evidence: What was seen, line by line; never a key.
        remedy: What to do; empty unless it failed.
        cause: A word for what is wrong, for programs; empty unless it failed.
    """

    layer: Layer
    subject: str
    check: str
    verdict: Verdict
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    cause: str = ""
    seconds: float = 0.0


class CheckFailed(Exception):
    """A check found something wrong; ``cause`` is a word for it."""

    def __init__(self, cause: str, *, evidence: Sequence[str], remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.evidence = tuple(evidence)
        self.remedy = remedy


class NotAsked(Exception):
    """A check does not concern this fleet; its text says why."""
