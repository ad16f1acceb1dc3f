"""The fingerprint changes with the Flow's code, and with nothing else."""

import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.flow import FlowClass
from orchestrator.runs.fingerprint import fingerprint, packages_of

FLOW = """
from crewai.flow.flow import Flow, start
import json, {package}.tools
from .crews.crew import words
from {package}.crews import other

class MyFlow(Flow):
    _skip_auto_memory = True

    @start()
    def begin(self):
        from {package} import lazy
        return words
"""
FILES = {
    "__init__.py": "",
    "tools.py": "tool = 1\n",
    "lazy.py": "lazy = 1\n",
    "unrelated.py": "nobody = 1\n",
    "agents.yaml": "a: 1\n",
    "crews/__init__.py": "",
    "crews/crew.py": "from .deep import words\n",
    "crews/deep.py": "words = 1\n",
    "crews/other.py": "other = 1\n",
    "crews/config/tasks.yaml": "t: 1\n",
    "crews/config/notes.txt": "n\n",
}

Make = Callable[..., FlowClass]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a package with a Flow in a folder, and imports it anew."""
    package = "package_of_fingerprint"

    def make(folder: Path, **changes: str) -> FlowClass:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
        shutil.rmtree(folder / package, ignore_errors=True)
        for name, text in {**FILES, "flow.py": FLOW.format(package=package), **changes}.items():
            file = folder / package / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            importlib.invalidate_caches()
            flow: FlowClass = importlib.import_module(f"{package}.flow").MyFlow
        return flow

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def test_it_is_the_same_wherever_the_files_are(make: Make, tmp_path: Path) -> None:
    assert fingerprint(make(tmp_path / "a")) == fingerprint(make(tmp_path / "b" / "c"))
    assert len(fingerprint(make(tmp_path / "a"))) == 32


@pytest.mark.parametrize(
    "name",
    ["__init__.py", "tools.py", "lazy.py", "agents.yaml", "crews/crew.py", "crews/deep.py", "crews/other.py",
     "crews/config/tasks.yaml"],
)  # fmt: skip
def test_it_changes_with_each_file_that_the_flow_leads_to(make: Make, tmp_path: Path, name: str) -> None:
    before = fingerprint(make(tmp_path))
    assert fingerprint(make(tmp_path, **{name: FILES[name] + "# changed\n"})) != before


@pytest.mark.parametrize("name", ["unrelated.py", "crews/config/notes.txt", "new.py"])
def test_it_does_not_change_with_what_the_flow_does_not_lead_to(make: Make, tmp_path: Path, name: str) -> None:
    before = fingerprint(make(tmp_path))
    assert fingerprint(make(tmp_path, **{name: "# changed\n"})) == before


def test_what_is_installed_beside_an_installed_flow_is_not_the_flows(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "json.py").write_text("raise AssertionError\n")
    flow = FLOW.format(package="package_of_fingerprint").replace("import json,", "import neighbour,")
    (folder / "neighbour.py").write_text("x = 1\n")
    before = fingerprint(make(folder, **{"flow.py": flow}))
    (folder / "neighbour.py").write_text("x = 2\n")
    assert fingerprint(make(folder, **{"flow.py": flow})) == before


def test_the_packages_of_a_flow_are_those_of_its_classes(make: Make, tmp_path: Path) -> None:
    assert packages_of(make(tmp_path)) == {"package_of_fingerprint"}
