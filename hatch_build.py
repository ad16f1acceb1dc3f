"""Compiles the modules of a request's way with mypyc into the wheel, where that is asked for.

Without being asked, the wheel is pure Python and works everywhere. ``HATCH_BUILD_HOOK_ENABLE_CUSTOM=1`` makes a wheel
for this Python and this platform from the same source: beside each module of the list in ``pyproject.toml``
(``tool.hatch.build.targets.wheel.hooks.custom.modules``) stands an extension module, which Python prefers.
The sources' folders stay as they are: an extension left in them would hide every later change.
"""

import contextlib
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OPTIMISATION = "2"
"""gcc's level: with 3 a request executes half a percent more instructions (`make guard`) and builds no faster."""
LIBRARY = "tiergate"
"""mypyc puts all modules into one library, ``tiergate__mypyc``, so that they call each other without a detour."""


class CompilationImpossible(Exception):
    """The compiled wheel cannot be built here; says what is missing and what helps."""


class CompiledHotPath(BuildHookInterface):  # type: ignore[type-arg] # its configuration class is not part of its API
    """Adds the extension modules to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tell hatchling what to add and that the wheel is for this platform alone.

        Ends the build where a module of the list is no file, the headers are missing, mypy or gcc finds fault, or this
        is an editable install.
        """
        if version == "editable":
            self.app.abort("An editable install runs the sources: it cannot be compiled.")
        try:
            sources = module_files(Path(self.root), self.config.get("modules", []))
            require_headers(Path(sysconfig.get_path("include")))
        except CompilationImpossible as error:
            self.app.abort(f"The gateway cannot be compiled: {error}")
        self._folder = tempfile.TemporaryDirectory(prefix="tiergate-build-")
        built = Path(self._folder.name)
        # mypy finds its configuration, and a module's name, from where it runs.
        with contextlib.chdir(self.root):
            compile_modules(sources, built)
        libraries = built / "lib"
        for library in sorted(libraries.rglob("*.so")):
            build_data["force_include"][str(library)] = str(library.relative_to(libraries))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's signature
        """Remove what was only needed to build."""
        self._folder.cleanup()


def module_files(root: Path, modules: Sequence[str]) -> list[str]:
    """The source file of each module, from ``root``.

    Raises:
        CompilationImpossible: The list is empty, or names a module that is not there, or one twice.
    """
    if not modules:
        raise CompilationImpossible("the list of modules to compile in pyproject.toml is empty")
    files = [module.replace(".", "/") + ".py" for module in modules]
    missing = [module for module, file in zip(modules, files, strict=True) if not (root / file).is_file()]
    if missing:
        raise CompilationImpossible(
            f"pyproject.toml lists modules to compile that do not exist: {', '.join(missing)}."
            " Was one renamed? Rename it there too."
        )
    if len(set(files)) < len(files):
        raise CompilationImpossible("pyproject.toml lists a module to compile twice")
    return files


def require_headers(folder: Path) -> None:
    """Python's own C headers.

    Raises:
        CompilationImpossible: They are not there.
    """
    if not (folder / "Python.h").is_file():
        raise CompilationImpossible(
            f"Python's C headers are missing: there is no {folder / 'Python.h'}."
            " On Debian and Ubuntu: apt-get install python3-dev gcc. Without them, use the pure-Python wheel."
        )


def compile_modules(sources: Sequence[str], folder: Path) -> None:
    """Write C into ``folder``/c and extension modules, in their packages' folders, into ``folder``/lib."""
    # Only here: the pure-Python wheel is built without them.
    from mypyc.build import mypycify  # noqa: PLC0415 - see above
    from setuptools import Distribution  # noqa: PLC0415 - see above
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415 - see above

    extensions = mypycify(
        list(sources), opt_level=OPTIMISATION, debug_level="0", target_dir=str(folder / "c"), group_name=LIBRARY
    )
    build = build_ext(Distribution({"name": LIBRARY, "ext_modules": extensions}))
    build.build_lib, build.build_temp = str(folder / "lib"), str(folder / "temporary")
    build.ensure_finalized()
    build.run()
