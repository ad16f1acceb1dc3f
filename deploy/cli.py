"""The command ``tiergate-deploy``."""

import argparse
import asyncio
import secrets
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from deploy.emulator import command as emulation
from deploy.errors import BadUsage, DeployError
from deploy.fleet import command as fleet
from deploy.local.emulator import KEY
from deploy.local.layout import EMULATOR_PORT, layout_for
from deploy.local.programs import find_programs
from deploy.local.report import report_console
from deploy.local.system import COLD_SECONDS, COLD_SECONDS_MAX, LocalRun, Voices, run_local
from deploy.settings import Settings, child_environments
from deploy.status import command as looking
from deploy.verify import command as verifying
from deploy.watching import command as watching
from tiers.fleet import Fleet
from tiers.load import load_fleet
from tiers.problems import TierMapInvalid
from tiers.tiermap import TierMap

_LOCAL_DESCRIPTION = """\
Start a whole Tiergate on this machine and run a CrewAI Flow once through it:
Runpod's emulator with a queue endpoint for every endpoint of the tier map on
127.0.0.1, whose workers are real engines (llama.cpp with a small model) and
start cold; the gateway; the Flow behind a load balancer of the emulator. Prints
the Flow's report, every LLM call with its tier, delays, tokens and cost, and
what is left of each budget; then keeps serving until Ctrl-C.
"""
_LOCAL_EPILOG = """\
environment:
  TIERGATE_DEMO_KEY  the key that callers use; without it every start makes a fresh one

exit status:
  0    all went well
  1    the Flow failed, a call of it did, a budget still holds money, or a process died
  2    wrong usage, an invalid tier map, a port in use, a program that is not installed
  130  interrupted before the report (Ctrl-C); 143: terminated before the report

examples:
  tiergate-deploy local --tiers examples/tiers/local.yaml \\
      --flow examples/support_triage/flow.py:SupportTriageFlow
  tiergate-deploy local --once --tiers tiers.yaml --flow flow.py:MyFlow
"""
_SEEDS = 1 << 31
_SIGNAL_STATUS = 128


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    arguments = parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        # An LLM's text may hold what the terminal's encoding does not; that must not end the system.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    progress = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        return _run(arguments, progress)
    except DeployError as error:
        _print_error(progress, error)
        return error.status


def _run(arguments: argparse.Namespace, progress: Console) -> int:
    def say(line: str) -> None:
        progress.print(escape(line))

    match arguments.command:
        case "emulate":
            status = emulation.emulate(arguments, say)
        case "monitoring":
            status = watching.monitoring(arguments, print)
        case "verify":
            status = verifying.run(arguments, sys.stdout, say)
        case "status":
            status = looking.run(arguments, sys.stdout, say)
        case name if name in fleet.COMMANDS:
            status = fleet.run(arguments, sys.stdout, say)
        case _:
            status = _local(arguments, progress)
    return status


def parser() -> argparse.ArgumentParser:
    """The command line of ``tiergate-deploy``."""
    made = argparse.ArgumentParser(prog="tiergate-deploy", description="Bring Tiergate up.", allow_abbrev=False)
    made.add_argument("--version", action="version", version=f"tiergate {version('tiergate')}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_local(commands)
    emulate = commands.add_parser(
        "emulate",
        help="Runpod on this machine, for tests, demos and rehearsals",
        description=emulation.DESCRIPTION,
        epilog=emulation.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    emulation.add_options(emulate)
    monitoring = commands.add_parser(
        "monitoring",
        help="rules for Prometheus and dashboards for Grafana, as files",
        description=watching.DESCRIPTION,
        epilog=watching.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    watching.add_options(monitoring)
    fleet.add_commands(commands)
    verifying.add_command(commands)
    looking.add_command(commands)
    return made


def _add_local(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    local = commands.add_parser(
        "local",
        help="the whole system on this machine, with small real models",
        description=_LOCAL_DESCRIPTION,
        epilog=_LOCAL_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    local.add_argument("--tiers", required=True, type=Path, metavar="FILE", help="the tier map")
    local.add_argument(
        "--flow", required=True, metavar="FLOW", help="the Flow, as path/to/flow.py:Class or module:Class"
    )
    local.add_argument("--once", action="store_true", help="stop after the report")
    local.add_argument("--port", type=_port, default=8080, metavar="N", help="the gateway's port (default: 8080)")
    local.add_argument(
        "--emulator-port",
        type=_port,
        default=EMULATOR_PORT,
        metavar="N",
        help=f"the emulator's port, unless the tier map's URLs name it (default: {EMULATOR_PORT})",
    )
    local.add_argument(
        "--state-directory",
        type=Path,
        default=Path(".tiergate"),
        metavar="DIR",
        help="where logs and the embedded store's data are kept (default: .tiergate)",
    )
    local.add_argument(
        "--cold-seconds",
        type=_seconds,
        default=COLD_SECONDS,
        metavar="N",
        help=f"how long a cold start takes at least; on Runpod it is minutes (default: {COLD_SECONDS:g})",
    )
    local.add_argument(
        "--orchestrator",
        type=Path,
        metavar="PATH",
        help="the tiergate-orchestrator to use (default: that of .venv-orchestrator, else on PATH)",
    )
    local.add_argument(
        "--gateway",
        type=Path,
        metavar="PATH",
        help="the tiergate-gateway to use (default: beside this command)",
    )
    local.add_argument(
        "--engine",
        type=Path,
        metavar="PATH",
        help="runs behind tiers' workers instead of llama.cpp; called with --model, --port, --slots, --context",
    )


def _local(arguments: argparse.Namespace, progress: Console) -> int:
    settings = Settings.read()
    layout = layout_for(
        *_load(arguments.tiers),
        tiers_file=arguments.tiers,
        state_directory=arguments.state_directory,
        gateway_port=arguments.port,
        emulator_port=arguments.emulator_port,
    )
    run = LocalRun(
        layout=layout,
        programs=find_programs(
            engine=arguments.engine,
            gateway=arguments.gateway,
            orchestrator=arguments.orchestrator,
            path=settings.path,
        ),
        environments=child_environments(
            settings,
            emulator_key=KEY,
            emulator_secrets=layout.emulator_secrets,
            all_secrets=layout.all_secrets,
        ),
        flow=arguments.flow,
        once=arguments.once,
        cold_seconds=arguments.cold_seconds,
        seed=secrets.randbelow(_SEEDS),
    )
    voices = Voices(say=lambda line: progress.print(escape(line)), show=report_console(sys.stdout))
    return asyncio.run(_until_signalled(run, voices))


async def _until_signalled(run: LocalRun, voices: Voices) -> int:
    """Run the system; the first SIGINT or SIGTERM ends it in order, further ones change nothing."""
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []
    serving: list[int] = []

    def on_signal(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            voices.say(f"{number.name}: stopping everything")
            work.cancel()

    work = loop.create_task(run_local(run, voices, on_serving=serving.append))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    try:
        return await work
    except asyncio.CancelledError:
        voices.say("stopped")
        return serving[0] if serving else _SIGNAL_STATUS + received[0]


def _load(file: Path) -> tuple[TierMap, Fleet]:
    try:
        return load_fleet(file.read_bytes(), file=str(file))
    except OSError as error:
        raise BadUsage(f"cannot read {file}: {error.strerror}", remedy="check --tiers") from error
    except TierMapInvalid as error:
        problems = "\n".join(str(problem) for problem in error.problems)
        raise BadUsage(problems, remedy=f"mend {file}; nothing was started") from error


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text} is not a port (1 to 65535)")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= COLD_SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {COLD_SECONDS_MAX:g}")
    return number


def _print_error(console: Console, error: DeployError) -> None:
    if error.log_tail:
        console.print(escape(f"--- end of the log\n{error.log_tail}\n---"))
    console.print(f"[bold red]error:[/] {escape(error.message)}")
    console.print(f"  what to do: {escape(error.remedy)}")
