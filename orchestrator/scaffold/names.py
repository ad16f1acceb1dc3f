"""What a project's name makes: its folder, its package and its Flow's class."""

import keyword
import re
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final, Self

from orchestrator.errors import ProjectRefused

NAME_CHARACTERS_MAX: Final = 60
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_][A-Za-z0-9]+)*")
_OURS: Final = frozenset({"gateway", "orchestrator", "tiers", "deploy"})
_TAKEN: Final = _OURS | {"crewai", "pydantic", "pytest", "test", "tests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectNames:
    """The names of one project.

    Attributes:
        project: As it was given: the folder, and the distribution.
        package: What is imported.
        flow: The Flow's class.
    """

    project: str
    package: str
    flow: str

    @classmethod
    def of(cls, name: str) -> Self:
        """The names that ``name`` makes: ``support-desk``, ``support_desk`` and ``SupportDeskFlow``.

        Raises:
            ProjectRefused: It cannot be the name of a package, or one is called so that the project needs.
        """
        if not _NAME.fullmatch(name) or len(name) > NAME_CHARACTERS_MAX:
            raise ProjectRefused(
                f"{name!r} cannot be a project's name. Take letters and digits, with single '-' or '_' between them, "
                f"beginning with a letter, {NAME_CHARACTERS_MAX} characters at most: support-desk."
            )
        package = name.lower().replace("-", "_")
        if keyword.iskeyword(package) or package in _TAKEN | sys.stdlib_module_names or _is_installed(package):
            raise ProjectRefused(
                f"{name!r} is taken: a package named {package!r} would hide another. Try {name + '-flow'!r}."
            )
        words = [word for word in package.split("_") if word]
        flow = "".join(word[:1].upper() + word[1:] for word in words)
        return cls(project=name, package=package, flow=flow if words[1:] and words[-1] == "flow" else f"{flow}Flow")


def _is_installed(package: str) -> bool:
    """Whether a package of that name can be imported from elsewhere than the working directory."""
    here = Path.cwd()
    spec = PathFinder.find_spec(package, [folder for folder in sys.path if Path(folder).absolute() != here])
    return spec is not None and spec.origin is not None
