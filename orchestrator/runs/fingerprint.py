"""The fingerprint of a Flow's code: a run goes on only with the code that it began with.

What counts is the text of the Flow's module, of every module that it imports from beside it (its crews, its tools, and
theirs), and of the YAML files beside those: agents and tasks. What is installed from elsewhere does not count, nor does
anything that is only imported while the Flow runs and named by a string.
"""

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orchestrator.flow import FlowClass

FILES_MAX: Final = 2_000
"""Files of a Flow that are read at most."""

_INSTALLED = {"site-packages", "dist-packages"}
_YAML = {".yaml", ".yml"}


def fingerprint(flow_class: FlowClass) -> str:
    """A short text that changes with the Flow's code; the same in every process that has the same files."""
    digest = hashlib.sha256(flow_class.__qualname__.encode())
    for name, path in sorted(_files(flow_class)):
        digest.update(f"\0{name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def packages_of(flow_class: FlowClass) -> frozenset[str]:
    """The top-level packages that belong to the Flow: those of its class and of the classes it extends."""
    return frozenset(each.__module__.partition(".")[0] for each in _own_classes(flow_class))


def _own_classes(flow_class: FlowClass) -> Iterator[type]:
    foreign = {"crewai", "pydantic", "typing", "abc", "builtins"}
    for each in flow_class.__mro__:
        if each.__module__.partition(".")[0] not in foreign:
            yield each


def _files(flow_class: FlowClass) -> set[tuple[str, Path]]:
    found: set[tuple[str, Path]] = set()
    for each in _own_classes(flow_class):
        file = getattr(sys.modules.get(each.__module__), "__file__", None)
        if file and file.endswith(".py"):
            found |= _reachable(each.__module__, Path(file))
    return found


def _reachable(module: str, file: Path) -> set[tuple[str, Path]]:
    """Every file that the module leads to, by its path from the folder that the module was imported from."""
    depth = module.count(".") + (file.name == "__init__.py")
    root = file.parents[depth]
    inside = root / module.partition(".")[0] if _INSTALLED & set(root.parts) else root
    seen: set[Path] = set()
    waiting = [(module, file)]
    while waiting and len(seen) < FILES_MAX:
        name, path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        seen.update(_yaml_beside(path))
        for imported in _imports(name, path):
            place = _place(root, imported)
            if place is not None and (place.is_relative_to(inside) or place == inside.with_suffix(".py")):
                waiting.append((imported, place))
    return {(path.relative_to(root).as_posix(), path) for path in seen}


def _yaml_beside(path: Path) -> Iterator[Path]:
    for folder in (path.parent, path.parent / "config"):
        if folder.is_dir():
            yield from (each for each in folder.iterdir() if each.suffix in _YAML and each.is_file())


def _place(root: Path, module: str) -> Path | None:
    path = root.joinpath(*module.split("."))
    for each in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if each.is_file():
            return each
    return None


def _imports(module: str, path: Path) -> Iterator[str]:
    """Every name that could be a module: ``from a import b`` may mean ``a.b``. Packages on the way count too."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
        for name in filter(None, names):
            steps = name.strip(".").split(".")
            yield from (".".join(steps[:length]) for length in range(1, len(steps) + 1))
