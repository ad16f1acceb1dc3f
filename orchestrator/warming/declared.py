"""Which tiers a step uses, as its author says. Where nobody says it, ``orchestrator.step_tiers`` reads the code."""

from collections.abc import Callable
from typing import Final, TypeVar

ATTRIBUTE: Final = "__tiergate_tiers__"
"""On the method; ``orchestrator.step_tiers`` looks for it."""

Method = TypeVar("Method")


def tiers(*names: str) -> Callable[[Method], Method]:
    """Say which tiers a step of a Flow uses, so that they are awake when it begins.

    Above or below ``@start``, ``@listen`` or ``@router``. The tier that the step calls first stands first: its own call
    wakes that one, the others are announced when the step begins. ``@tiers()`` says that it uses none.

    Raises:
        TypeError: What is given is not names.
    """
    given: tuple[object, ...] = names
    if not all(isinstance(name, str) and name for name in given):
        raise TypeError('@tiers takes the names of tiers, as in @tiers("routing", "reasoning").')

    def declare(method: Method) -> Method:
        setattr(method, ATTRIBUTE, tuple(dict.fromkeys(names)))
        return method

    return declare
