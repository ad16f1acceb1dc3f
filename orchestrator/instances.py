"""Crews of one process kept apart from each other.

CrewAI 1.15 remembers what a crew class's ``@agent``, ``@task`` and ``@llm`` methods returned by the method's name and
the ``id`` of the instance. Python gives a freed instance's id to another one, which then gets the agents of the first:
those of another run, or of another class.
"""

import itertools
from collections.abc import Callable

from crewai.project import utils

_ATTRIBUTE = "_tiergate_instance"
_numbers = itertools.count(1)


def keep_instances_apart() -> None:
    """Let CrewAI tell instances by a number that is never given twice. Calling it again changes nothing."""
    current: Callable[[object], object] = utils._make_hashable  # noqa: SLF001 - the one place where the id is used
    if not isinstance(current, _ByNumber):
        setattr(utils, "_make_hashable", _ByNumber(current))  # noqa: B010 - a private name of another package


class _ByNumber:
    """In place of CrewAI's function from an argument to what stands for it in a key."""

    def __init__(self, otherwise: Callable[[object], object]) -> None:
        self._otherwise = otherwise

    def __call__(self, argument: object) -> object:
        key = self._otherwise(argument)
        if not (isinstance(key, tuple) and key[:1] == ("__instance__",)):
            return key
        attributes = getattr(argument, "__dict__", None)
        # A class has attributes that cannot be added to, but then it is not freed either.
        return ("__instance__", attributes.setdefault(_ATTRIBUTE, next(_numbers))) if type(attributes) is dict else key
