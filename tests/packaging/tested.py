"""Which build of the gateway the tests are to run against, and whether they do."""

import os
import tomllib
from pathlib import Path

from gateway.build import build

ROOT = Path(__file__).parents[2]
VARIABLE = "TIERGATE_TESTED"
"""``compiled`` where the run is to test the compiled modules; the Makefile sets it."""


def compiled_modules() -> list[str]:
    """The modules that pyproject.toml lists to be compiled."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    modules: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]
    return modules


def wanted() -> str:
    """``compiled`` or ``interpreted``."""
    return os.environ.get(VARIABLE, "interpreted")


def strays() -> list[str]:
    """The modules of the list that Python would import from the other build: none, or the run tests something else."""
    return [module for module in compiled_modules() if build(module) != wanted()]
