"""Checks one after the other: what needs one that did not pass is skipped, and every one is told as it ends."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from deploy.errors import DeployError
from deploy.verify.finding import CheckFailed, Finding, Layer, NotAsked, Verdict

Work = Callable[[], Awaitable[Sequence[str]]]
"""A check: what it saw, or ``CheckFailed``, or ``NotAsked``."""


_BLOCKED: Final = "what it stands on did not pass"


class Course:
    """All checks so far.

    Attributes:
        findings: In the order in which they ended.
    """

    def __init__(self, tell: Callable[[Finding], None], clock: Callable[[], float]) -> None:
        """``tell`` hears of each finding at once; ``clock`` gives seconds."""
        self.findings: list[Finding] = []
        self._tell = tell
        self._clock = clock

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(finding.verdict != "failed" for finding in self.findings)

    async def check(self, layer: Layer, subject: str, check: str, work: Work, *, after: bool = True) -> bool:
        """Make one check; returns whether it passed. ``after``: whether what it stands on has passed."""
        began = self._clock()
        outcome = await _outcome(work) if after else _Outcome(verdict="skipped", evidence=(_BLOCKED,))
        finding = Finding(
            layer=layer,
            subject=subject,
            check=check,
            verdict=outcome.verdict,
            evidence=outcome.evidence,
            remedy=outcome.remedy,
            cause=outcome.cause,
            seconds=round(self._clock() - began, 3),
        )
        self.findings.append(finding)
        self._tell(finding)
        return finding.verdict == "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    verdict: Verdict
    evidence: tuple[str, ...]
    cause: str = ""
    remedy: str = ""


async def _outcome(work: Work) -> _Outcome:
    try:
        return _Outcome(verdict="passed", evidence=tuple(await work()))
    except NotAsked as reason:
        return _Outcome(verdict="skipped", evidence=(str(reason),))
    except CheckFailed as failure:
        return _Outcome(verdict="failed", evidence=failure.evidence, cause=failure.cause, remedy=failure.remedy)
    except DeployError as error:
        return _failed(type(error).__name__, error.message, error.remedy)
    except TimeoutError:
        return _failed("no_answer", "no answer in time", "see the log of what was asked")
    except httpx.HTTPError as error:
        return _failed("no_answer", f"{type(error).__name__}: {error}", "check the address, and the network up to it")


def _failed(cause: str, seen: str, remedy: str) -> _Outcome:
    return _Outcome(verdict="failed", evidence=tuple(seen.splitlines()), cause=cause, remedy=remedy)
