"""Which of its two builds the gateway is: the Python source, or the same source compiled."""

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import Literal

HOT = "gateway.pipeline"
"""Compiled wherever anything is: every request goes through it."""


def build(module: str = HOT) -> Literal["compiled", "interpreted"]:
    """How ``module`` runs, by what Python imports it from.

    Raises:
        ModuleNotFoundError: There is no such module.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    return "compiled" if spec.origin.endswith(tuple(EXTENSION_SUFFIXES)) else "interpreted"
