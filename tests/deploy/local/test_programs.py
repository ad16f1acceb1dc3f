import shutil
import sys
from pathlib import Path

import pytest

from deploy.errors import ProgramMissing
from deploy.local.programs import Programs, find_programs


class Machine:
    """A made-up machine: programs that can be run, below one folder."""

    def __init__(self, root: Path) -> None:
        self.environment = root / "project" / ".venv"
        self.elsewhere = root / "elsewhere"
        self.path_folder = root / "bin"
        self.engine = self.program("tools/engine")
        self.root = root

    def program(self, place: str) -> Path:
        """Put a program there."""
        file = self.environment.parent.parent / place
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/sh", file)
        return file

    def find(self, *, gateway: Path | None = None, orchestrator: Path | None = None) -> Programs:
        """Find programs as the command does on this machine."""
        return find_programs(
            engine=self.engine,
            gateway=gateway,
            orchestrator=orchestrator,
            path=f"{self.environment / 'bin'}:{self.path_folder}",
            environment=self.environment,
            working_directory=self.elsewhere,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_programs_of_the_project_are_preferred_to_those_on_path(machine: Machine) -> None:
    gateway = machine.program("project/.venv/bin/tiergate-gateway")
    orchestrator = machine.program("project/.venv-orchestrator/bin/tiergate-orchestrator")
    for name in ("tiergate-gateway", "tiergate-orchestrator"):
        machine.program(f"bin/{name}")
    found = machine.find()
    assert (found.gateway, found.orchestrator) == ((str(gateway),), (str(orchestrator),))


def test_the_orchestrators_environment_may_be_where_the_command_is_started(machine: Machine) -> None:
    gateway = machine.program("bin/tiergate-gateway")
    orchestrator = machine.program("elsewhere/.venv-orchestrator/bin/tiergate-orchestrator")
    assert machine.find().gateway == (str(gateway),)
    assert machine.find().orchestrator == (str(orchestrator),)


def test_an_orchestrator_without_crewai_is_passed_over(machine: Machine) -> None:
    """The command is installed beside the gateway too, but cannot run a Flow there."""
    machine.program("project/.venv/bin/tiergate-gateway")
    machine.program("project/.venv/bin/tiergate-orchestrator")
    with pytest.raises(ProgramMissing, match="the orchestrator's environment is missing") as caught:
        machine.find()
    assert "make setup" in caught.value.remedy
    orchestrator = machine.program("bin/tiergate-orchestrator")
    assert machine.find().orchestrator == (str(orchestrator),)


def test_a_missing_gateway_is_told_with_how_to_install_it(machine: Machine) -> None:
    with pytest.raises(ProgramMissing, match="tiergate-gateway is not installed") as caught:
        machine.find()
    assert "make setup" in caught.value.remedy


def test_programs_that_were_named_are_taken(machine: Machine) -> None:
    mine = machine.program("mine")
    found = machine.find(gateway=mine, orchestrator=mine)
    assert (found.gateway, found.orchestrator) == ((str(mine),), (str(mine),))
    assert found.engine == (str(machine.engine),)


def test_a_named_program_must_be_one_that_can_be_run(machine: Machine, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.touch()
    with pytest.raises(ProgramMissing, match="text is not a program that can be run"):
        machine.find(gateway=text, orchestrator=text)


def test_without_a_named_engine_the_built_in_one_is_used(machine: Machine) -> None:
    """The emulator starts it; and is started so that a folder named ``deploy`` in the working directory is not taken
    for this package.
    """
    mine = machine.program("mine")
    found = find_programs(engine=None, gateway=mine, orchestrator=mine, path="")
    assert found.engine == ()
    assert found.emulator == (sys.executable, "-P", "-m", "deploy", "emulate")
