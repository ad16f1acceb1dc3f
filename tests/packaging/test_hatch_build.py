"""The hook that compiles: what it refuses, and what the wheel then holds."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hatch_build import CompilationImpossible, module_files, require_headers
from tests.packaging.tested import ROOT

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "small"
version = "1"
requires-python = ">=3.11"
[tool.hatch.build.targets.wheel]
packages = ["small"]
[tool.hatch.build.targets.wheel.hooks.custom]
path = "hatch_build.py"
enable-by-default = false
modules = ["small.hot"]
"""
SOURCE = "def double(number: int) -> int:\n    return 2 * number\n"
CALL = "import small.hot; print(small.hot.__file__.endswith('.py'), small.hot.double(21))"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one module to compile and one that is not."""
    folder = tmp_path / "project"
    (folder / "small").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "small" / "__init__.py").touch()
    (folder / "small" / "hot.py").write_text(SOURCE)
    (folder / "small" / "cold.py").write_text(SOURCE)
    shutil.copy(ROOT / "hatch_build.py", folder)
    return folder


def build(project: Path, *, compiled: bool, version: str = "standard") -> subprocess.CompletedProcess[str]:
    """Make the wheel in ``project``/dist."""
    asked = {"HATCH_BUILD_HOOK_ENABLE_CUSTOM": "1"} if compiled else {}
    command = [sys.executable, "-m", "hatchling", "build", "-t", f"wheel:{version}"]
    return subprocess.run(
        command, cwd=project, env={**os.environ, **asked}, check=False, capture_output=True, text=True, timeout=120
    )


def called(project: Path, into: Path) -> str:
    """What the wheel's module says, unpacked and imported from ``into``."""
    [wheel] = (project / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into)
    environment = {**os.environ, "PYTHONPATH": str(into)}
    return subprocess.run(
        [sys.executable, "-P", "-c", CALL], cwd=into, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_a_wheel_is_pure_where_nobody_asks_for_more(project: Path, tmp_path: Path) -> None:
    done = build(project, compiled=False)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (project / "dist").iterdir()] == ["small-1-py3-none-any.whl"]
    assert called(project, tmp_path / "installed") == "True 42\n"


def test_a_compiled_wheel_holds_the_listed_modules_twice_and_is_for_this_platform_alone(
    project: Path, tmp_path: Path
) -> None:
    """The source stays in it, for tracebacks and type checkers; the folders that were built from stay as they were."""
    done = build(project, compiled=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert called(project, tmp_path / "installed") == "False 42\n"
    [wheel] = (project / "dist").glob("*.whl")
    minor = f"cp3{sys.version_info.minor}"
    assert f"-{minor}-{minor}-" in wheel.name
    assert "none-any" not in wheel.name
    names = {file.name for file in (tmp_path / "installed" / "small").iterdir()} - {"__pycache__"}
    assert {name.partition(".cpython")[0] for name in names} == {"__init__.py", "hot.py", "hot", "cold.py"}
    assert list(project.rglob("*.so")) == []


def test_a_listed_module_that_is_gone_ends_the_build_with_its_name(project: Path) -> None:
    (project / "small" / "hot.py").rename(project / "small" / "warm.py")
    done = build(project, compiled=True)
    assert done.returncode != 0
    assert "lists modules to compile that do not exist: small.hot" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_what_mypy_refuses_ends_the_build_with_its_place(project: Path) -> None:
    (project / "small" / "hot.py").write_text("def double(number: int) -> int:\n    return str(number)\n")
    done = build(project, compiled=True)
    assert done.returncode != 0
    assert "small/hot.py:2: error" in done.stdout + done.stderr
    assert not list(project.rglob("*.whl"))


def test_an_editable_install_is_not_compiled(project: Path) -> None:
    """Its extensions would stand among the sources, and hide every change."""
    done = build(project, compiled=True, version="editable")
    assert done.returncode != 0
    assert "editable install" in done.stdout + done.stderr


@pytest.mark.parametrize(("modules", "text"), [([], "is empty"), (["small.hot", "small.hot"], "twice")])
def test_a_list_must_be_one(project: Path, modules: list[str], text: str) -> None:
    with pytest.raises(CompilationImpossible, match=text):
        module_files(project, modules)


def test_missing_headers_are_told_with_the_package_that_brings_them(tmp_path: Path) -> None:
    with pytest.raises(CompilationImpossible, match=r"no .*Python\.h.*apt-get install python3-dev"):
        require_headers(tmp_path)
    (tmp_path / "Python.h").touch()
    require_headers(tmp_path)
