"""Classes by their names, ``module:Qualified.Name``, without running anything that was not meant to run."""

import importlib
import sys
from collections.abc import Collection

from orchestrator.errors import ValueNotKept


def name_of(found: type) -> str | None:
    """Its name, or ``None`` where it could not be found by it: it is local to a function, or hidden by another."""
    module = sys.modules.get(found.__module__)
    if module is None or _attribute(module, found.__qualname__) is not found:
        return None
    return f"{found.__module__}:{found.__qualname__}"


def class_named(name: str, packages: Collection[str]) -> type:
    """The class of that name.

    Its module is one that is loaded, or one of ``packages`` (top-level names), which is imported: what a store
    holds never decides what else is.

    Raises:
        ValueNotKept: There is no such class.
    """
    place, _, qualified = name.partition(":")
    module = sys.modules.get(place)
    if module is None and place.partition(".")[0] in packages:
        try:
            module = importlib.import_module(place)
        except ImportError as error:
            raise ValueNotKept(f"a kept value is a {name}, and its module cannot be imported: {error}") from error
    found = None if module is None else _attribute(module, qualified)
    if not isinstance(found, type):
        raise ValueNotKept(
            f"a kept value is a {name}, and there is no such class: import its module where the Flow is defined, "
            "or start the run anew."
        )
    return found


def _attribute(place: object, qualified: str) -> object:
    for part in qualified.split("."):
        place = getattr(place, part, None)
    return place
