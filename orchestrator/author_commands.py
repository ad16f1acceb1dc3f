"""The commands of whoever writes Flows: ``new`` makes a project, ``plot`` draws a Flow. Neither asks a gateway."""

import argparse
import sys
from pathlib import Path
from typing import Final

from orchestrator.errors import OrchestratorError
from orchestrator.scaffold.names import ProjectNames
from orchestrator.scaffold.project import write_project
from orchestrator.settings import DEFAULT_URL, Secret, Settings, bind, prepare_crewai

AUTHOR_COMMANDS: Final = frozenset({"new", "plot"})

_NEW_EXAMPLES: Final = """\
examples:
  tiergate-orchestrator new support-desk
  tiergate-orchestrator new support-desk --directory flows/support

The project's README.md has its commands: its tests, and how all of it runs on the emulator.
"""
_PLOT_EXAMPLES: Final = """\
examples:
  tiergate-orchestrator plot examples/support_triage/flow.py:SupportTriageFlow
  tiergate-orchestrator plot my_flows:ResearchFlow --format html --output research.html

Nothing of the Flow runs, and no key is needed. A '?' stands for a tier that shows only at run time.
"""


class DrawingNotWritten(OrchestratorError):
    """The file that the drawing was to be written into cannot be; the message says why."""


def add_author_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``new`` and ``plot`` to the command line."""
    new = commands.add_parser(
        "new",
        help="begin a project: a Flow, its crews, tests, a Dockerfile",
        description="Write a project that runs at once: a Flow, two crews, tests, a tier map, a Dockerfile.",
        epilog=_NEW_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("name", metavar="NAME", help="the project's name, as in support-desk")
    new.add_argument(
        "--directory", type=Path, metavar="DIR", help="where it is written; empty or not there yet (default: NAME)"
    )
    plot = commands.add_parser(
        "plot",
        help="draw a Flow, with the tiers of each step",
        description="Draw a Flow's graph from its definition: steps, branches, joins, loops, persons, tiers.",
        epilog=_PLOT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plot.add_argument("target", metavar="MODULE:FLOW", help="the Flow's class, in a module or in FILE.py")
    plot.add_argument(
        "--format",
        choices=("text", "mermaid", "dot", "html"),
        default="text",
        help="text: lines; mermaid: for Markdown; dot: for Graphviz; html: a page by itself (default: text)",
    )
    plot.add_argument("--output", type=Path, metavar="FILE", help="where it is written (default: stdout)")


def run_author_command(arguments: argparse.Namespace) -> None:
    """Do what ``new`` or ``plot`` was asked.

    Raises:
        OrchestratorError: It could not be done; nothing that was there is overwritten by ``new``.
    """
    if arguments.command == "new":
        _new(arguments.name, arguments.directory)
    else:
        _plot(arguments)


def _new(name: str, directory: Path | None) -> None:
    names = ProjectNames.of(name)
    folder = directory or Path(names.project)
    written = write_project(names, folder)
    sys.stdout.write(f"{folder}: {len(written)} files. Begin with {folder / 'README.md'}.\n")


def _plot(arguments: argparse.Namespace) -> None:
    prepare_crewai()
    # As in ``cli``: CrewAI takes seconds to import.
    from orchestrator.flow import load_flow  # noqa: PLC0415 - see above
    from orchestrator.graph import graph_of  # noqa: PLC0415 - see above
    from orchestrator.plot.drawing import draw  # noqa: PLC0415 - see above

    # Code that makes its agents while it is imported wants settings; nobody is called with these.
    with bind(Settings(url=DEFAULT_URL, key=Secret("nobody-is-called"))):
        drawing = draw(graph_of(load_flow(arguments.target)), arguments.format)
    if arguments.output is None:
        sys.stdout.write(drawing)
        return
    try:
        arguments.output.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise DrawingNotWritten(f"--output: cannot write {arguments.output}: {error.strerror}.") from error
