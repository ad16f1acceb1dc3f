"""The command ``tiergate-deploy emulate``."""

import argparse
import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

from deploy.emulator.app import Emulator, Options, emulating
from deploy.emulator.clock import SPEED_MAX
from deploy.emulator.engines.kinds import LLAMA, ImageCommand
from deploy.local.engine import require_installed
from deploy.local.ports import Port, require_free
from deploy.settings import Settings

KEY = "rpa_emulator"
DESCRIPTION = """\
Runpod on this machine: its REST v2, its queue and load-balancing endpoints,
workers that start cold, bills, and faults on demand. Prints its addresses, then
serves until Ctrl-C.
"""
EPILOG = """\
exit status:
  0    stopped by SIGTERM or Ctrl-C; no worker's process is left
  2    wrong usage, a port in use, a program that is not installed

examples:
  tiergate-deploy emulate --speed 10
  tiergate-deploy emulate --engine llama
  tiergate-deploy emulate --run 'org/flows:*=flow-server --port {port}'
"""


def add_options(made: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    made.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: 127.0.0.1)")
    made.add_argument(
        "--port", type=int, default=8090, metavar="N", help="its port; 0 takes a free one (default: 8090)"
    )
    made.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N", help="emulated seconds for a real one (default: 1)"
    )
    made.add_argument("--seed", type=int, default=0, metavar="N", help="the dice's beginning (default: 0)")
    made.add_argument(
        "--engine",
        choices=("generator", "llama"),
        default="generator",
        help="behind workers: made-up tokens at a GPU's speed, or llama.cpp as a child process (default: generator)",
    )
    made.add_argument(
        "--run",
        action="append",
        default=[],
        type=_command,
        metavar="IMAGE=COMMAND",
        help="run a command for workers of that image; * is any text; {port}, {model}, {slots}, {context} are filled",
    )
    made.add_argument(
        "--key", metavar="REFERENCE", help=f"the API key, as env:NAME or file:PATH (default: the key {KEY})"
    )
    made.add_argument(
        "--state-directory",
        type=Path,
        default=Path(".tiergate"),
        metavar="DIR",
        help="where the engines' logs are kept (default: .tiergate)",
    )


def emulate(arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Run the command; returns its exit status.

    Raises:
        BadUsage: It cannot be started as asked.
    """
    settings = Settings.read()
    commands = tuple(arguments.run)
    if arguments.engine == "llama":
        require_installed()
        commands = (*commands, ImageCommand(pattern="*", words=LLAMA))
    if arguments.port:
        port = Port(number=arguments.port, purpose="emulator", remedy="give the emulator another one with --port")
        require_free([port], host=arguments.host)
    options = Options(
        key=settings.secret(arguments.key) if arguments.key else KEY,
        start=time.time(),  # noqa: TID251 - the composition root gives the emulator's clock its beginning
        host=arguments.host,
        port=arguments.port,
        speed=arguments.speed,
        seed=arguments.seed,
        commands=commands,
        environment=settings.environment,
        logs=arguments.state_directory / "logs",
    )
    return asyncio.run(_until_signalled(options, say, shown_key="" if arguments.key else KEY))


async def _until_signalled(options: Options, say: Callable[[str], None], *, shown_key: str) -> int:
    """Serve until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with emulating(options) as emulator:
        for line in addresses(emulator, shown_key):
            say(line)
        await stopped.wait()
        say("stopping everything")
    say("stopped")
    return 0


def addresses(emulator: Emulator, shown_key: str) -> list[str]:
    """Where everything is, line by line."""
    origin = emulator.origin
    return [
        f"control plane:            {emulator.base_url}/serverless",
        f"queue endpoints:          {emulator.base_url}/{{id}}/run, …/openai/v1",
        f"load-balancing endpoints: {emulator.balanced_url('{id}')}/…, or Host {{id}}.api.runpod.ai",
        f"faults, clock, state:     {origin}/emulator/state",
        f"API key:                  {shown_key or 'as given with --key'}",
        f"clock:                    {emulator.clock.speed:g} seconds for each real one; Ctrl-C stops everything",
    ]


def _speed(text: str) -> float:
    number = float(text)
    if not 0 < number <= SPEED_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {SPEED_MAX:g}")
    return number


def _command(text: str) -> ImageCommand:
    try:
        return ImageCommand.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
