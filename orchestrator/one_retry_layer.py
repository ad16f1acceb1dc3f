"""CrewAI's own layers of retries, switched off: a failing call costs a number of requests that can be told.

CrewAI 1.15 repeats a call three times in its LLM where a rate limit is reported or merely mentioned, without regard to
``retry-after``, and lets an agent begin its whole task anew three times after any failure. With the client's own two
retries that is up to 27 requests. What is left here: the step's retries in a run that is kept
(``orchestrator.retries``), else the client's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from crewai import Agent, Task
from crewai.llms import retry

from orchestrator.settings import are_bound

C = TypeVar("C", bound=Callable[..., Any])
_step_retries: ContextVar[bool] = ContextVar("tiergate_step_retries", default=False)


@contextmanager
def retried_by_step() -> Iterator[None]:
    """Everything inside, and what it starts, is begun anew by the step if it fails: calls are not repeated."""
    token = _step_retries.set(True)
    try:
        yield
    finally:
        _step_retries.reset(token)


def client_retries(wanted: int) -> int:
    """How often the client repeats a call of the current run, of the ``wanted`` times."""
    return 0 if _step_retries.get() else wanted


def tried_once(call: C) -> C:
    """Mark an LLM's ``call`` or ``acall`` as one that CrewAI does not wrap into its loop of retries."""
    setattr(call, "_crewai_rate_limit_wrapped", True)  # noqa: B010 - CrewAI's own mark, which functions do not declare
    return call


@contextmanager
def without_llm_retries() -> Iterator[None]:
    """Inside, an LLM's call is one try: CrewAI takes its loop for one that is under way already."""
    active: ContextVar[bool] = retry._active_llm_rate_limit_retry  # noqa: SLF001 - there is no public way to say so
    token = active.set(True)
    try:
        yield
    finally:
        active.reset(token)


def drop_agent_retries() -> None:
    """Have agents raise what failed instead of beginning their task anew, where settings are bound: in runs of the
    orchestrator. Calling it again changes nothing.
    """
    current = Agent._check_execution_error  # noqa: SLF001 - the one place where CrewAI decides on it
    if not getattr(current, "_tiergate", False):
        setattr(Agent, "_check_execution_error", _raising(current))  # noqa: B010 - a private name of another package


def _raising(original: Callable[[Agent, Exception, Task], None]) -> Callable[[Agent, Exception, Task], None]:
    def check(self: Agent, e: Exception, task: Task) -> None:
        original(self, e, task)
        if are_bound():
            raise e

    setattr(check, "_tiergate", True)  # noqa: B010 - functions declare no attributes
    return check
