"""A run as a directory keeps it: the run itself, who may write it, and what only the store needs to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter

from orchestrator.runs.run import Run, RunState
from orchestrator.runs.store import Ownership


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """A run with its fence, its owner's lease (Unix seconds), what persons answered, and how it was asked for."""

    run: Run
    fence: int = 0
    lease_until: float = 0.0
    answers: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str = ""
    request: str = ""

    def owned_by(self, ownership: Ownership) -> bool:
        """Whether that is who may write it."""
        return self.run.state is RunState.RUNNING and self.fence == ownership.fence

    def lapsed(self, now: float) -> bool:
        """Whether it runs, but its owner's lease is over."""
        return self.run.state is RunState.RUNNING and self.lease_until <= now

    def text(self) -> str:
        """As JSON."""
        return _KEPT.dump_json(self).decode()

    @classmethod
    def from_text(cls, text: str) -> "KeptRun":
        """What ``text`` wrote."""
        return _KEPT.validate_json(text)


_KEPT: Final = TypeAdapter(KeptRun)
