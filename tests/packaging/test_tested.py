"""A run tests the build that it says it tests, in its child processes too."""

import os
import subprocess
import sys

from tests.packaging.tested import ROOT, VARIABLE, compiled_modules, strays, wanted

BUILD = "from gateway.build import build; print(build())"
STRAYS = "from tests.packaging.tested import strays; print(*strays())"


def test_every_module_is_of_the_wanted_build() -> None:
    assert strays() == []


def test_the_programs_that_tests_start_run_the_same_build() -> None:
    """The acceptance tests start the gateway in the repository's folder, which has the sources."""
    told = subprocess.run([sys.executable, "-c", BUILD], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert told == f"{wanted()}\n"


def test_a_run_that_would_test_another_build_is_told() -> None:
    other = "interpreted" if wanted() == "compiled" else "compiled"
    environment = {**os.environ, VARIABLE: other}
    told = subprocess.run(
        [sys.executable, "-c", STRAYS], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert told.split() == compiled_modules()
