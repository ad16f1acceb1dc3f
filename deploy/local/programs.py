"""Where the programs are that the local system starts."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deploy.errors import ProgramMissing
from deploy.local.engine import require_installed

GATEWAY = "tiergate-gateway"
ORCHESTRATOR = "tiergate-orchestrator"
ORCHESTRATOR_ENVIRONMENT = ".venv-orchestrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The first words of each child's command line; the first one is an absolute path."""

    emulator: tuple[str, ...]
    engine: tuple[str, ...]
    """Runs behind the tiers' workers; empty for the built-in llama.cpp."""
    gateway: tuple[str, ...]
    orchestrator: tuple[str, ...]


def find_programs(
    *,
    engine: Path | None,
    gateway: Path | None,
    orchestrator: Path | None,
    path: str,
    environment: Path = Path(sys.prefix),
    working_directory: Path = Path(),
) -> Programs:
    """The programs to start: those that were named, else those that are installed.

    Args:
        engine: Runs behind a tier's workers in place of the built-in llama.cpp; called with
            ``deploy.local.engine``'s options.
        gateway: Else the one beside this Python.
        orchestrator: Else the one of the environment ``.venv-orchestrator`` beside this Python's environment
            or in the working directory, else one on ``path``: CrewAI's pins keep it out of this environment.
        path: In the form of ``PATH``.
        environment: This Python's environment.
        working_directory: Where the command was started.

    Raises:
        ProgramMissing: One of them is not there; says how to install it.
    """
    if engine is None:
        require_installed()
    beside = environment / "bin"
    gateway_program = gateway or _first([beside / GATEWAY], GATEWAY, path)
    if gateway_program is None:
        raise ProgramMissing(
            f"{GATEWAY} is not installed in {environment} nor on PATH",
            remedy='run `make setup`, or `pip install "tiergate[gateway]"`, or name it with --gateway',
        )
    homes = (environment.parent / ORCHESTRATOR_ENVIRONMENT, working_directory / ORCHESTRATOR_ENVIRONMENT)
    places = [home / "bin" / ORCHESTRATOR for home in homes]
    # The command exists in every environment, but without CrewAI it cannot run a Flow.
    hollow = beside / ORCHESTRATOR if find_spec("crewai") is None else None
    orchestrator_program = orchestrator or _first(places, ORCHESTRATOR, path, except_for=hollow)
    if orchestrator_program is None:
        raise ProgramMissing(
            f"the orchestrator's environment is missing: no {' nor '.join(map(str, places))}",
            remedy="run `make setup`, which makes it, or name the program with --orchestrator",
        )
    return Programs(
        # -P: a folder named "deploy" where this happens to be started must not be taken for this package.
        emulator=(sys.executable, "-P", "-m", "deploy", "emulate"),
        engine=() if engine is None else (_runnable(engine),),
        gateway=(_runnable(gateway_program),),
        orchestrator=(_runnable(orchestrator_program),),
    )


def _first(places: Sequence[Path], name: str, path: str, *, except_for: Path | None = None) -> Path | None:
    for place in places:
        if place.is_file():
            return place
    for folder in filter(None, path.split(":")):
        found = shutil.which(name, path=folder)
        if found and (except_for is None or Path(found) != except_for):
            return Path(found)
    return None


def _runnable(program: Path) -> str:
    absolute = program.absolute()
    if shutil.which(absolute) is None:
        raise ProgramMissing(
            f"{program} is not a program that can be run", remedy="check the path and that it is executable"
        )
    return str(absolute)
