"""The command ``tiergate-orchestrator``: its arguments, its help, and its exit codes.

CrewAI is imported only once a Flow is really to run (see ``run_command``), so that help and usage errors are
instant, and a server can say that it warms up.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from orchestrator.author_commands import AUTHOR_COMMANDS, add_author_commands, run_author_command
from orchestrator.errors import OrchestratorError
from orchestrator.run_names import is_run_name
from orchestrator.settings import Settings, environment, prepare_crewai, read_settings

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_ENVIRONMENT_AND_EXITS = """\
environment:
  TIERGATE_URL         the gateway's address, ending in /v1 (default http://127.0.0.1:8080/v1)
  TIERGATE_KEY         the key that the gateway knows this orchestrator by
  TIERGATE_KEY_FILE    a file that holds the key, instead of TIERGATE_KEY

exit status:
  0    the Flow ended well
  1    the Flow failed; one line on stderr says why and what to do
  2    bad usage: arguments, settings, a Flow that cannot be loaded, inputs that its state refuses
  130  interrupted
"""

_RUN_EXAMPLES = """\
examples:
  tiergate-orchestrator run examples/support_triage/flow.py:SupportTriageFlow
  tiergate-orchestrator run my_package.flow:MyFlow --input customer=Ada --input 'message=I was charged twice'
  tiergate-orchestrator run my_package.flow:MyFlow --inputs inputs.json --output json | jq .output

Progress goes to stderr, the report to stdout.
"""

_SERVE_EXAMPLES = """\
examples:
  tiergate-orchestrator serve examples/support_triage/flow.py:SupportTriageFlow --port 8000
  curl http://127.0.0.1:8000/flows/SupportTriageFlow -d '{"inputs": {"customer": "Ada"}}'
  tiergate-orchestrator serve my_flows:ResearchFlow other:TriageFlow
  tiergate-orchestrator serve --flows flows.yaml

environment of serve, in addition:
  TIERGATE_RUNS            where runs are kept: redis://HOST:PORT/0, or a directory (default .tiergate/runs)
  TIERGATE_APP_TOKEN       what callers have to show as X-Tiergate-Token (default: nobody is asked for one)
  TIERGATE_APP_TOKEN_FILE  a file that holds it, instead
"""
_WORKER_EXAMPLES = """\
examples:
  tiergate-orchestrator worker my_flows:ResearchFlow
  tiergate-orchestrator worker my_flows:ResearchFlow --sdk --test_input '{"input": {"inputs": {"topic": "tea"}}}'
"""
_TARGET = "the Flow's class, in a module or in FILE.py"
_GATEWAY = "the gateway's address, instead of TIERGATE_URL"


class UsageError(OrchestratorError):
    """An argument cannot be used; the message names it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (the process' own where it is ``None``) and return its exit status."""
    arguments = build_parser().parse_args(argv)
    try:
        if arguments.command in AUTHOR_COMMANDS:
            run_author_command(arguments)
            return EXIT_OK
        settings = read_settings(url=arguments.gateway)
        status = _COMMANDS[arguments.command](arguments, settings)
    except OrchestratorError as error:
        print(f"tiergate-orchestrator: {error}", file=sys.stderr)
        return EXIT_USAGE
    return status


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    inputs = _inputs(arguments)
    if arguments.run_id is not None and not is_run_name(arguments.run_id):
        raise UsageError("--run-id: 1 to 128 letters, digits, '.', '_', ':' or '-', beginning with a letter or digit.")
    prepare_crewai()
    # CrewAI takes seconds to import and reads the environment while it does: only now, and only here.
    from orchestrator.run_command import RunCommand  # noqa: PLC0415 - see above

    command = RunCommand(
        target=arguments.target,
        inputs=inputs,
        run=arguments.run_id,
        output=arguments.output,
        debug=arguments.debug,
        settings=settings,
    )
    try:
        return EXIT_OK if command.execute(sys.stdout, sys.stderr) else EXIT_FAILED
    except KeyboardInterrupt:
        print("tiergate-orchestrator: interrupted", file=sys.stderr, flush=True)
        # An ordinary exit would wait for threads that are inside LLM calls. Dying of the signal closes their
        # connections, so that the gateway stops and settles those calls, and tells the shell the truth.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
        return EXIT_INTERRUPTED


def _serve(arguments: argparse.Namespace, settings: Settings) -> int:
    prepare_crewai()
    # Its server is imported where it serves, as help and usage errors are to be instant.
    from orchestrator.host.flows_file import read_targets  # noqa: PLC0415 - see above
    from orchestrator.host.settings import read_host_settings  # noqa: PLC0415 - see above
    from orchestrator.serve_command import ServeCommand  # noqa: PLC0415 - see above

    # As above: what dies of its signal waits for no thread.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ServeCommand(
        targets=read_targets(arguments.targets, arguments.flows),
        host=arguments.host,
        port=arguments.port,
        drain_seconds=arguments.drain_seconds,
        runs_max=arguments.runs_max,
        settings=settings,
        host_settings=read_host_settings(environment()),
    ).execute(sys.stderr)
    return EXIT_OK


def _work(arguments: argparse.Namespace, settings: Settings) -> int:
    prepare_crewai()
    # As above.
    from orchestrator.host.flows_file import read_targets  # noqa: PLC0415 - see above
    from orchestrator.host.settings import read_host_settings  # noqa: PLC0415 - see above
    from orchestrator.worker_command import WorkerCommand  # noqa: PLC0415 - see above

    WorkerCommand(
        targets=read_targets(arguments.targets, arguments.flows),
        jobs_max=arguments.jobs_max,
        arguments=tuple(arguments.sdk),
        settings=settings,
        host_settings=read_host_settings(environment()),
    ).execute(sys.stderr)
    return EXIT_OK


_COMMANDS = {"run": _run, "serve": _serve, "worker": _work}


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar; also what the reference page is checked against."""
    parser = argparse.ArgumentParser(
        prog="tiergate-orchestrator",
        description="Runs CrewAI Flows whose agents reach their models through the Tiergate gateway.",
        epilog=_ENVIRONMENT_AND_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('tiergate')}")
    commands = parser.add_subparsers(dest="command", title="commands", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run a Flow once and print its report",
        description="Run a Flow once: each step's progress to stderr, the Flow's report to stdout.",
        epilog=f"{_RUN_EXAMPLES}\n{_ENVIRONMENT_AND_EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_run_arguments(run)
    serve = commands.add_parser(
        "serve",
        help="host Flows behind a load balancer",
        description="Host Flows: GET /ping tells whether they can run, POST /flows/FLOW runs one to its end.",
        epilog=f"{_SERVE_EXAMPLES}\n{_ENVIRONMENT_AND_EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_serve_arguments(serve)
    worker = commands.add_parser(
        "worker",
        help="take jobs of a Runpod queue, each a run of a Flow",
        description="Run Flows as jobs of a Runpod queue, by Runpod's SDK (the extra 'batch').",
        epilog=f"{_WORKER_EXAMPLES}\n{_ENVIRONMENT_AND_EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_worker_arguments(worker)
    add_author_commands(commands)
    return parser


def _add_run_arguments(run: argparse.ArgumentParser) -> None:
    run.add_argument("target", metavar="MODULE:FLOW", help=_TARGET)
    inputs = run.add_mutually_exclusive_group()
    inputs.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one field of the Flow's state; may be repeated",
    )
    inputs.add_argument("--inputs", type=Path, metavar="FILE.json", help="a JSON object with the state's fields")
    run.add_argument("--run-id", metavar="ID", help="the run's name at the gateway (default: a fresh UUID)")
    run.add_argument("--gateway", metavar="URL", help=_GATEWAY)
    run.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help="text: the report; json: {run, flow, status, output, state, seconds}, and error where it failed",
    )
    run.add_argument("--debug", action="store_true", help="show CrewAI's log lines and a failure's traceback")


def _add_serve_arguments(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("targets", nargs="*", metavar="MODULE:FLOW", help=f"{_TARGET}; any number of them")
    serve.add_argument("--flows", type=Path, metavar="FILE", help="a YAML file whose list 'flows' names more of them")
    serve.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: 127.0.0.1; on Runpod 0.0.0.0)"
    )
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="its port (default: 8000)")
    serve.add_argument("--gateway", metavar="URL", help=_GATEWAY)
    serve.add_argument(
        "--drain-seconds",
        type=float,
        default=30.0,
        metavar="N",
        help="how long open runs may go on at SIGTERM before they are let go to other workers (default: 30)",
    )
    serve.add_argument(
        "--runs-max", type=int, default=200, metavar="N", help="runs at once; more wait their turn (default: 200)"
    )


def _add_worker_arguments(worker: argparse.ArgumentParser) -> None:
    worker.add_argument("targets", nargs="*", metavar="MODULE:FLOW", help=f"{_TARGET}; any number of them")
    worker.add_argument("--flows", type=Path, metavar="FILE", help="a YAML file whose list 'flows' names more of them")
    worker.add_argument("--gateway", metavar="URL", help=_GATEWAY)
    worker.add_argument(
        "--jobs-max", type=int, default=20, metavar="N", help="jobs at once; fewer while memory is short (default: 20)"
    )
    worker.add_argument(
        "--sdk",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="OPTION",
        help="the SDK's own options, to the end of the line, such as --test_input '{…}' or --rp_serve_api",
    )


def _inputs(arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.inputs is not None:
        return _inputs_from(arguments.inputs)
    inputs: dict[str, object] = {}
    for pair in arguments.input:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise UsageError(f"--input {pair!r} is not KEY=VALUE.")
        if key in inputs:
            raise UsageError(f"--input {key} is given twice.")
        inputs[key] = value
    return inputs


def _inputs_from(file: Path) -> dict[str, object]:
    try:
        inputs = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--inputs: cannot read {file}: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"--inputs: {file} is not JSON: {error}.") from error
    if not isinstance(inputs, dict):
        raise UsageError(f"--inputs: {file} holds no JSON object.")
    return inputs
