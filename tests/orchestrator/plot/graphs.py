"""A graph with everything that a drawing can show: no Flow is behind it."""

from orchestrator.graph import Edge, Graph, Step, StepKind
from orchestrator.step_tiers import TiersUsed


def step(name: str, kind: StepKind = StepKind.LISTENER, *, tiers: TiersUsed | None = None, **given: object) -> Step:
    """A step with defaults for what a test does not care about."""
    plain = {"starts": kind is StepKind.START, "condition": "", "labels": (), "asks": None}
    return Step(name=name, kind=kind, tiers=tiers or TiersUsed(), **{**plain, **given})  # type: ignore[arg-type]


EVERYTHING = Graph(
    flow="Everything",
    steps=(
        step("left", StepKind.START, tiers=TiersUsed(names=("routing",))),
        step("right", StepKind.START, tiers=TiersUsed(names=("code",), known=False)),
        step("end", condition="(left and right) or again"),
        step("judge", StepKind.ROUTER, condition="end", labels=("again",)),
        step("show", asks='Is "this" <fit> to print?', condition="good"),
    ),
    edges=(
        Edge(source="left", target="end", join=1),
        Edge(source="right", target="end", join=1),
        Edge(source="judge", target="end", label="again", back=True),
        Edge(source="end", target="judge"),
        Edge(source="judge", target="show", label="good", declared=False),
    ),
)
"""Two starts, a join, a loop, a router with a label that it does not declare, a person."""
