"""Which Flows are hosted: the words of the command line, and those of a file.

flows:
  - my_package.flow:ResearchFlow
  - path/to/triage.py:TriageFlow
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from orchestrator.errors import FlowUnusable

FLOWS_MAX = 100
"""Flows in one worker."""


class FlowsFile(BaseModel):
    """The file: targets as the command line has them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    flows: Annotated[list[Annotated[str, StringConstraints(min_length=1)]], Field(min_length=1, max_length=FLOWS_MAX)]


def read_targets(words: Sequence[str], file: Path | None) -> tuple[str, ...]:
    """The targets of the command line, then those of ``file``. A path in the file begins where the file is.

    Raises:
        FlowUnusable: There are none, the file cannot be read, or holds something else; it names the field.
    """
    targets = [*words, *(_targets_in(file) if file is not None else ())]
    if not targets:
        raise FlowUnusable("No Flow is named. Give MODULE:FLOW, or --flows with a file that lists some.")
    return tuple(targets)


def _targets_in(file: Path) -> list[str]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        targets = FlowsFile.model_validate(document).flows
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise FlowUnusable(f"--flows: cannot read {file}: {reason}.") from error
    except yaml.YAMLError as error:
        raise FlowUnusable(f"--flows: {file} is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"])) or "file"
        raise FlowUnusable(f"--flows: {file}: {field}: {problem['msg']}.") from error
    return [_placed(target, file.parent) for target in targets]


def _placed(target: str, folder: Path) -> str:
    place, colon, name = target.rpartition(":")
    if colon and (place.endswith(".py") or "/" in place):
        return f"{folder / place}:{name}"
    return target
