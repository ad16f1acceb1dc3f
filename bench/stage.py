"""What every part of the bench is given: the harness, the gateway to measure, and how thorough to be."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.harness import Harness

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The setting of one run.

    Attributes:
        gateway: The program ``tiergate-gateway``; its folder also has the Python that runs it.
        rounds: How often targets that are compared take turns.
        quick: A smoke run: every part at its shortest; the figures mean little.
        scratch: A folder for maps, logs and certificates of this run.
    """

    harness: Harness
    gateway: Path
    rounds: int
    quick: bool
    soak_minutes: float
    scratch: Path

    @property
    def python(self) -> Path:
        """The interpreter of the gateway's environment."""
        return self.gateway.parent / "python"

    def seconds(self, thorough: float) -> float:
        """How long one window of load lasts; one second at least."""
        return max(1.0, thorough / 3) if self.quick else thorough

    def say(self, text: str) -> None:
        """Tell the person who watches."""
        print(f"  {text}", flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the bench: ``measure`` gives what goes to ``NAME.json``, ``seconds`` how long it will take."""

    name: str
    title: str
    seconds: Callable[[Stage], float]
    measure: Callable[[Stage], dict[str, Any]]
