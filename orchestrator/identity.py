"""Who is calling: the run, the Flow, its step, the agent and the task, as headers of every LLM call.

The values live in a context variable, so they follow CrewAI through its tasks and threads and two runs in one
process never mix. CrewAI's interception hooks fill them: they run synchronously in the very context that
later makes the call (its event handlers do not: they run on copies of it, in other threads).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote

from crewai.hooks import InterceptionPoint, LLMCallHookContext, get_hooks, register_hook
from crewai.hooks.contexts import StepContext

# What stays readable in a header; everything else, line ends and non-ASCII text included, is percent-quoted
# as UTF-8.
_READABLE = " /:,._-@+=()"

HEADER_LENGTH_MAX = 256
"""Characters of one identity header, quoted; a longer value is cut: it is a name, not a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who calls, in CrewAI's nouns; empty where it is not known (yet).

    ``bounds`` are headers that say what the run may take in all. ``outer`` is what held before the step or task began
    and holds again after it.
    """

    run: str = ""
    flow: str = ""
    step: str = ""
    agent: str = ""
    task: str = ""
    bounds: Mapping[str, str] = field(default_factory=dict)
    outer: Self | None = None

    def headers(self) -> dict[str, str]:
        """The ``x-tiergate-*`` headers of a call; what is empty is left out."""
        values = {
            "x-tiergate-run": self.run,
            "x-tiergate-flow": self.flow,
            "x-tiergate-step": self.step,
            "x-tiergate-agent": self.agent,
            "x-tiergate-task": self.task,
        }
        return {name: header for name, value in values.items() if (header := _header(value))} | dict(self.bounds)


_identity: ContextVar[Identity | None] = ContextVar("tiergate_identity", default=None)


def current_identity() -> Identity:
    """The identity of whatever runs in this context; all empty outside a run."""
    return _identity.get() or Identity()


@contextmanager
def running(run: str, bounds: Mapping[str, str] | None = None) -> Iterator[None]:
    """Everything inside belongs to the run named ``run``; ``bounds`` are as in ``Identity``."""
    token = _identity.set(Identity(run=run, bounds=bounds or {}))
    try:
        yield
    finally:
        _identity.reset(token)


def register_identity_hooks() -> None:
    """Let CrewAI tell us about steps, tasks and agents. Once per process is enough; more does no harm.

    To be called before agents are made: an agent remembers the hooks that it found at its making.
    """
    for point, hook in (
        (InterceptionPoint.PRE_STEP, _enter_step),
        (InterceptionPoint.POST_STEP, _leave_step),
        (InterceptionPoint.PRE_MODEL_CALL, _name_agent),
    ):
        if hook not in get_hooks(point):
            register_hook(point, hook)


def _enter_step(context: StepContext) -> None:
    """A Flow's method or a crew's task begins. A method's identity starts clean; a task's is added to it."""
    outer = current_identity()
    if context.kind == "flow_method":
        flow = context.flow.name or type(context.flow).__name__
        _identity.set(
            Identity(run=outer.run, bounds=outer.bounds, flow=flow, step=context.step_name or "", outer=outer)
        )
    elif context.kind == "task":
        task = getattr(context.task, "name", None) or ""
        _identity.set(replace(outer, agent=context.agent_role or "", task=task, outer=outer))


def _leave_step(_context: StepContext) -> None:
    """It ended: what the enclosing step calls next is not the work of the task or inner Flow any more."""
    outer = current_identity().outer
    if outer is not None:
        _identity.set(outer)


def _name_agent(context: LLMCallHookContext) -> None:
    """An agent is about to call its model. Covers agents that work without a crew, and delegated work."""
    role = getattr(context.agent, "role", None)
    if role:
        _identity.set(replace(current_identity(), agent=role))


def _header(value: str) -> str:
    quoted = quote(value.strip(), safe=_READABLE)
    if len(quoted) <= HEADER_LENGTH_MAX:
        return quoted
    cut = quoted[:HEADER_LENGTH_MAX]
    # Never leave half of a quoted character behind.
    partial = cut.rfind("%", -2)
    return cut if partial < 0 else cut[:partial]
