"""The template's files with a project's names in them, written where nothing is yet."""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Final

from orchestrator.errors import ProjectRefused
from orchestrator.scaffold.names import ProjectNames

_SUFFIX: Final = ".tmpl"
"""Of the template's files: no tool is to take them for what they only become."""
_DOT: Final = "dot-"
"""In place of the dot before a name: tools that pack the template would heed a .gitignore in it."""
_PACKAGE: Final = "package"
_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")


def write_project(names: ProjectNames, folder: Path) -> tuple[Path, ...]:
    """Write a whole project into ``folder``, and return its files by their paths in it, sorted.

    Raises:
        ProjectRefused: The folder has something in it, which is left as it is, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ProjectRefused(f"{folder} is not empty, and nothing is overwritten. Give another --directory.")
        for path, text in rendered(names).items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as written:
                written.write(text)
    except OSError as error:
        raise ProjectRefused(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
    return tuple(sorted(Path(path) for path in rendered(names)))


def rendered(names: ProjectNames) -> dict[PurePosixPath, str]:
    """Each file of the project, by its path in it."""
    values = {
        "project": names.project,
        "package": names.package,
        "flow": names.flow,
        "version": version("tiergate"),
    }
    template = files("orchestrator.scaffold") / "template"
    return {
        _path(path, names.package): _filled(file.read_text(encoding="utf-8"), values)
        for path, file in _files(template, PurePosixPath())
    }


def _files(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _files(each, path / each.name)
        elif each.name.endswith(_SUFFIX):
            yield path / each.name.removesuffix(_SUFFIX), each


def _path(path: PurePosixPath, package: str) -> PurePosixPath:
    folder = [package if part == _PACKAGE else part for part in path.parts[:-1]]
    name = f".{path.name.removeprefix(_DOT)}" if path.name.startswith(_DOT) else path.name
    return PurePosixPath(*folder, name)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], text)
