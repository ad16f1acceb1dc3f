"""What keeps a run from going on once its worker may not: no step begins, and no agent asks its model again.

Threads cannot be stopped from outside. An agent that works in one is stopped at its next call of a model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from crewai.hooks import InterceptionPoint, LLMCallHookContext, get_hooks, register_hook
from crewai.hooks.dispatch import HookAborted


class Leash:
    """Held by a run's worker, and found by everything that the run starts.

    Attributes:
        pulled: Why the run may not go on; "" while it may.
    """

    def __init__(self) -> None:
        self.pulled = ""

    def pull(self, why: str) -> None:
        """Stop the run; the first reason stays. From any thread."""
        self.pulled = self.pulled or why


_leash: ContextVar[Leash | None] = ContextVar("tiergate_leash", default=None)


@contextmanager
def on_leash(leash: Leash) -> Iterator[None]:
    """Everything inside, and what it starts, is held by ``leash``."""
    token = _leash.set(leash)
    try:
        yield
    finally:
        _leash.reset(token)


def register_leash_hook() -> None:
    """Have CrewAI ask before each call of a model. To be called before agents are made; again does no harm."""
    if _hold_back not in get_hooks(InterceptionPoint.PRE_MODEL_CALL):
        register_hook(InterceptionPoint.PRE_MODEL_CALL, _hold_back)


def _hold_back(_context: LLMCallHookContext) -> None:
    leash = _leash.get()
    if leash is not None and leash.pulled:
        raise HookAborted(f"the run may not go on: {leash.pulled}", source="tiergate")
