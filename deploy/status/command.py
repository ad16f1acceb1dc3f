"""The command ``tiergate-deploy status``."""

import argparse
import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console

from deploy.account import add_account_options, opened
from deploy.settings import Settings
from deploy.status.look import look
from deploy.status.shown import as_json, as_text

DRIFTED_STATUS = 3
DESCRIPTION = """\
What is deployed, and how it is: what differs from the tier map, workers by state,
roll-outs, what each endpoint cost in the last 24 hours, and which of them Runpod is
about to cut for want of requests. Nothing is changed, no worker is woken.
"""
EPILOG = """\
exit status:
  0    told
  1    Runpod refused, or did not answer
  2    wrong usage, an invalid tier map, a state or key that cannot be read
  3    status --check: something is not as the tier map says
"""


def add_command(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Add the command and its options."""
    made: argparse.ArgumentParser = commands.add_parser(
        "status",
        help="what is deployed, how it is, what it costs, and what differs from the tier map",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_account_options(made)
    made.add_argument("--check", action="store_true", help="exit with 3 where something differs from the tier map")


def run(arguments: argparse.Namespace, out: TextIO, say: Callable[[str], None]) -> int:
    """Run the command; returns its exit status.

    Raises:
        DeployError: It cannot be told.
    """
    now = datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - the composition root reads the clock
    return asyncio.run(_status(arguments, out, say, now))


async def _status(arguments: argparse.Namespace, out: TextIO, say: Callable[[str], None], now: datetime) -> int:
    async with opened(arguments, Settings.read(), say) as account:
        status = await look(account, now)
    if arguments.json:
        out.write(as_json(status))
    else:
        Console(file=out, highlight=False, soft_wrap=True).print(as_text(status))
    return DRIFTED_STATUS if arguments.check and status.drifted else 0
