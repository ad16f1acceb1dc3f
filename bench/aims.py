"""What the gateway should reach, beside what it reached."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from bench import figures
from bench.figures import Results

TIMES = "\N{MULTIPLICATION SIGN}"


class Verdict(Enum):
    """How a figure stands against its aim."""

    BEST = "yes, the best aim"
    MET = "yes"
    MISSED = "**no**"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """One figure with its bounds.

    Attributes:
        must: The bound that has to be kept; ``best`` the one to go for, which may be the same.
        least: Whether bounds are lower ones.
        digits: Decimal places with which the figure and its bounds are written; ``unit`` follows them.
    """

    title: str
    digits: int
    must: float
    best: float
    value: Callable[[Results], float | None]
    unit: str = ""
    least: bool = False

    def verdict(self, results: Results) -> Verdict:
        """Judge the figure as it is measured, not as it is rounded."""
        value = self.value(results)
        if value is None:
            return Verdict.UNKNOWN
        bounds = ((self.best, Verdict.BEST), (self.must, Verdict.MET))
        for bound, verdict in bounds[self.best == self.must :]:
            if value >= bound if self.least else value <= bound:
                return verdict
        return Verdict.MISSED

    def bound(self, bound: float) -> str:
        """A bound as it is written."""
        return f"{'≥' if self.least else '≤'} {self._form(bound)}"

    def written(self, results: Results) -> str:
        """The figure as it is written."""
        value = self.value(results)
        return "" if value is None else self._form(value)

    def _form(self, value: float) -> str:
        return f"{value:,.{self.digits}f}{self.unit}"


def _less(scenario: str, peer: str) -> Callable[[Results], float | None]:
    return lambda results: figures.cpu_ratio(results, scenario, peer, "tiergate")


def _against(scenario: str, peer: str) -> Callable[[Results], float | None]:
    return lambda results: figures.cpu_ratio(results, scenario, "tiergate", peer)


AIMS = (
    Aim(
        title="JSON, 64 connections: CPU per request against Envoy",
        digits=2,
        unit=TIMES,
        must=1.2,
        best=0.8,
        value=_against("json_c64", "envoy"),
    ),
    Aim(
        title="the same against vllm-router (Rust)",
        digits=2,
        unit=TIMES,
        must=1.2,
        best=0.8,
        value=_against("json_c64", "vllm-router"),
    ),
    Aim(
        title="LiteLLM Proxy's CPU against Tiergate's",
        digits=0,
        unit=TIMES,
        must=100,
        best=200,
        least=True,
        value=_less("json_c64", "litellm"),
    ),
    Aim(
        title="Portkey's CPU against Tiergate's",
        digits=1,
        unit=TIMES,
        must=12,
        best=20,
        least=True,
        value=_less("json_c64", "portkey"),
    ),
    Aim(
        title="SSE, 64 paced streams: CPU per stream against Envoy",
        digits=2,
        unit=TIMES,
        must=1.2,
        best=0.85,
        value=_against("paced_c64", "envoy"),
    ),
    Aim(
        title="LiteLLM Proxy's CPU per stream against Tiergate's",
        digits=0,
        unit=TIMES,
        must=40,
        best=50,
        least=True,
        value=_less("paced_c64", "litellm"),
    ),
    Aim(
        title="p50 added to a JSON answer, 64 connections, the endpoint thinks 50 ms",
        digits=2,
        unit=" ms",
        must=2,
        best=1,
        value=lambda results: figures.added(results, "think50_c64", "p50"),
    ),
    Aim(
        title="time to first token added at p50, paced streams",
        digits=2,
        unit=" ms",
        must=2,
        best=1,
        value=lambda results: figures.added(results, "paced_c64", "ttft_p50"),
    ),
    Aim(
        title="exact budgets on against off: CPU per request",
        digits=2,
        unit=TIMES,
        must=1.5,
        best=1.2,
        value=_against("json_c64", "tiergate-nobudget"),
    ),
    Aim(title="resident memory under the JSON load", digits=0, unit=" MiB", must=120, best=80, value=figures.rss),
    Aim(
        title="resident memory per open slow stream",
        digits=1,
        unit=" KiB",
        must=40,
        best=20,
        value=lambda results: figures.found(results, "streams", "kib_per_stream"),
    ),
    Aim(
        title="slow streams that broke, and tokens that came batched",
        digits=0,
        must=0,
        best=0,
        value=figures.lost_streams,
    ),
    Aim(
        title="two processes against one: requests per second",
        digits=2,
        unit=TIMES,
        must=1.7,
        best=1.9,
        least=True,
        value=lambda results: figures.found(results, "processes", "ratio"),
    ),
    Aim(
        title="10,000 keys and 200 tiers against 1 and 2: CPU per request",
        digits=2,
        unit=TIMES,
        must=1.1,
        best=1.0,
        value=lambda results: figures.found(results, "scale", "ratio"),
    ),
    Aim(
        title="soak at 60 % load: growth of resident memory per minute (0: flat)",
        digits=0,
        unit=" KiB",
        must=0,
        best=0,
        value=lambda results: figures.growth(results, "rss_kib_per_minute"),
    ),
    Aim(
        title="soak at 60 % load: growth of open tasks per minute (0: flat)",
        digits=1,
        must=0,
        best=0,
        value=lambda results: figures.growth(results, "tasks_per_minute"),
    ),
    Aim(
        title="wrong, mixed-up or missing answers in the soak and the isolation check",
        digits=0,
        must=0,
        best=0,
        value=figures.wrong_answers,
    ),
)
