"""The command ``tiergate-deploy monitoring``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.watching.files import write_files

RUNBOOKS: Final = "docs/runbooks"
DESCRIPTION = """\
Write what watches Tiergate: recording and alert rules for Prometheus, and
dashboards for Grafana. Nothing is contacted; the same command always writes the
same files.
"""
EPILOG = """\
exit status:
  0    all files were written
  2    wrong usage, or a file cannot be written

examples:
  tiergate-deploy monitoring --output monitoring
  tiergate-deploy monitoring --output monitoring --runbooks https://wiki.example.com/tiergate/runbooks
"""


def add_options(made: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    made.add_argument("--output", required=True, type=Path, metavar="DIR", help="the folder to write into")
    made.add_argument(
        "--runbooks",
        default=RUNBOOKS,
        metavar="URL",
        help=f"where the runbooks' pages are; every alert links to its own (default: {RUNBOOKS})",
    )


def monitoring(arguments: argparse.Namespace, show: Callable[[str], None]) -> int:
    """Run the command; returns its exit status.

    Raises:
        BadUsage: A file cannot be written.
    """
    for path in write_files(arguments.output, arguments.runbooks):
        show(str(path))
    return 0
