"""``tiergate-gateway``: serve a tier map, check one, or print what editors need to help with one."""

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gateway import bill_command, keys_command, usage_command
from gateway.asked_gateway import NotAnswered
from gateway.build import build
from gateway.checked_map import MapRejected, read_map, read_text
from gateway.settings import (
    BODY_BYTES_MAX,
    HOST,
    PORT,
    RECORDS_DAYS,
    RECORDS_MAX,
    RUNPOD_URL,
    SLOT_LEASE_SECONDS,
    Settings,
    SettingsInvalid,
    read_settings,
)
from tiers.problems import TierMapInvalid
from tiers.schema import json_schema
from tiers.tiermap import TierMap

_DESCRIPTION = "An OpenAI-compatible gateway that sends each call to its tier's endpoint and keeps exact budgets."
_EXAMPLES = """\
examples:
  tiergate-gateway check tiers.yaml
  tiergate-gateway serve --tiers tiers.yaml --port 8080
  tiergate-gateway serve --tiers tiers.yaml --store redis://127.0.0.1:6379/0
  tiergate-gateway schema > tiers.schema.json
  tiergate-gateway bill tiers.yaml --since 7d
  tiergate-gateway usage --by agent,tier --since 7d
  tiergate-gateway budget explain daily

exit status: 0 done or stopped as asked, 1 could not start, 2 wrong arguments or an invalid tier map
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    match options.command:
        case "serve":
            return _serve(options)
        case "check":
            return _check(options.tiers_file)
        case "bill":
            return _bill(options)
        case "keys" | "audit":
            return _administer(options)
        case "usage" | "budget":
            return _tell_usage(options)
        case _:
            print(json.dumps(json_schema(), indent=2))
            return 0


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "tiergate-gateway", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=form
    )
    parser.add_argument("--version", action="version", version=f"tiergate {version('tiergate')} ({build()})")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    _add_serve(commands)
    check = commands.add_parser(
        "check", help="check a tier map, offline", description="Report every problem of a tier map, or none."
    )
    check.add_argument("tiers_file", metavar="FILE")
    commands.add_parser(
        "schema", help="print the tier map's JSON Schema", description="Print the JSON Schema for editors."
    )
    keys_command.add_commands(commands)
    usage_command.add_commands(commands)
    bill_command.add_command(commands)
    return parser


def _add_serve(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    serve = commands.add_parser(
        "serve",
        help="serve a tier map",
        description="Serve a tier map until SIGTERM or Ctrl-C; open answers are then given time to end."
        " SIGHUP, or a change of its file, makes it read the tier map again.",
        epilog="Each option may also come from the environment: TIERGATE_TIERS, TIERGATE_HOST, TIERGATE_PORT, …",
    )
    serve.add_argument("--tiers", dest="tiers_file", metavar="FILE", help="the tier map (required, or TIERGATE_TIERS)")
    serve.add_argument(
        "--fleet-state",
        metavar="FILE",
        help="the addresses of deployed endpoints (default: beside the tier map, as tiergate-deploy writes it)",
    )
    serve.add_argument("--host", metavar="H", help=f"address to listen on (default {HOST})")
    serve.add_argument("--port", metavar="N", help=f"port to listen on (default {PORT})")
    serve.add_argument(
        "--store",
        metavar="URL",
        help="embedded, or a URL, also of Sentinels or a cluster; overrides the tier map",
    )
    serve.add_argument(
        "--state-directory", metavar="DIR", help="where the embedded store keeps its data (default .tiergate)"
    )
    serve.add_argument(
        "--body-bytes-max",
        metavar="N",
        help=f"the largest request body that is accepted (default {BODY_BYTES_MAX})",
    )
    serve.add_argument("--drain-seconds", metavar="S", help="how long open answers may go on when stopped (default 30)")
    serve.add_argument(
        "--drain-delay-seconds",
        metavar="S",
        help="how long connections are still accepted when stopped, for load balancers to notice (default 0)",
    )
    serve.add_argument(
        "--admin-key",
        metavar="REFERENCE",
        help="where the admin API's key is read: env:NAME or file:PATH (default: none, and it is off)",
    )
    serve.add_argument(
        "--admin-listen",
        metavar="HOST:PORT",
        help="the address at which alone the admin API is served (default: the gateway's own)",
    )
    serve.add_argument(
        "--key-pepper",
        metavar="REFERENCE",
        help="where the secret is read that goes into what is kept of virtual keys: env:NAME or file:PATH"
        " (default: one that is made in the state directory)",
    )
    serve.add_argument(
        "--runpod-speed", metavar="N", help="seconds on an emulated Runpod's clock in each real one (default 1)"
    )
    serve.add_argument(
        "--slot-lease-seconds",
        metavar="S",
        help=f"how long the slots of a process that died stay taken (default {SLOT_LEASE_SECONDS})",
    )
    serve.add_argument("--records-max", metavar="N", help=f"records of requests to keep, about (default {RECORDS_MAX})")
    serve.add_argument("--records-days", metavar="D", help=f"days to keep them for (default {RECORDS_DAYS})")
    serve.add_argument(
        "--runpod-key",
        metavar="REFERENCE",
        help="where Runpod's key is read, for its bill: env:NAME or file:PATH (default: none, and no bill is read)",
    )
    serve.add_argument("--runpod-url", metavar="URL", help=f"Runpod's REST API (default {RUNPOD_URL})")
    serve.add_argument("--processes", metavar="N", help="how many processes serve, behind one port (default 1)")


def _bill(options: argparse.Namespace) -> int:
    from gateway.direct_bill import BillFailed, bill_text  # noqa: PLC0415 - as in `_serve`

    try:
        if options.gateway is not None:
            print(bill_command.asked_bill(options), end="")
            return 0
        if options.tiers_file is None:
            return _failed("bill: give the tier map's FILE, or --gateway URL", 2)
        loaded = _load(Path(options.tiers_file))
        if loaded is None:
            return 2
        print(asyncio.run(bill_text(options, loaded[0])), end="")
    except (BillFailed, NotAnswered, SettingsInvalid) as error:
        return _failed(str(error), 1)
    return 0


def _check(file: str) -> int:
    loaded = _load(Path(file))
    if loaded is None:
        return 2
    tier_map, _ = loaded
    endpoints = sum(len(tier.endpoints) for tier in tier_map.tiers.values())
    print(
        f"{file}: fine. {len(tier_map.tiers)} tiers with {endpoints} endpoints, {len(tier_map.routes)} routes,"
        f" {len(tier_map.budgets)} budgets, {len(tier_map.keys)} keys."
    )
    return 0


def _administer(options: argparse.Namespace) -> int:
    try:
        return keys_command.run(options)
    except (keys_command.NotJson, NotAnswered, SettingsInvalid) as error:
        return _failed(str(error), 1)


def _tell_usage(options: argparse.Namespace) -> int:
    try:
        print(usage_command.usage_text(options), end="")
    except (usage_command.UsageFailed, SettingsInvalid) as error:
        return _failed(str(error), 1)
    return 0


def _serve(options: argparse.Namespace) -> int:
    import uvloop  # noqa: PLC0415 - the server's packages are not loaded for `check`

    from gateway.errors import StoreUnavailable  # noqa: PLC0415 - as above
    from gateway.processes.member import ProcessFailed  # noqa: PLC0415 - as above

    try:
        settings = read_settings(vars(options))
    except SettingsInvalid as error:
        return _failed(str(error), 2)
    loaded = _load(settings.tiers_file, settings.fleet_state)
    if loaded is None:
        return 2
    try:
        uvloop.run(_serving(settings, *loaded))
    except (SettingsInvalid, StoreUnavailable, ProcessFailed, ValueError) as error:
        return _failed(str(error), 1)
    except OSError as error:
        return _failed(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}", 1)
    return 0


def _serving(settings: Settings, tier_map: TierMap, text: bytes) -> Coroutine[Any, Any, None]:
    """What serves: this process, or the parent of those that do, which does without the server's packages."""
    if settings.processes == 1:
        from gateway.app import serve  # noqa: PLC0415 - see above

        return serve(settings, tier_map, text)
    from gateway.processes.parent import serve_with_processes  # noqa: PLC0415 - as above

    return serve_with_processes(settings, tier_map, text)


def _load(file: Path, fleet_state: Path | None = None) -> tuple[TierMap, bytes] | None:
    """The tier map in ``file`` and the text that it was read from; problems go to standard error."""
    try:
        text = read_text(file, fleet_state)
        return read_map(text, file=str(file)), text
    except MapRejected as rejected:
        _failed(str(rejected), 2)
    except TierMapInvalid as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        _failed(f"{file}: {len(error.problems)} problem{'s' * (len(error.problems) > 1)}; nothing was started", 2)
    return None


def _failed(message: str, status: int) -> int:
    print(f"tiergate-gateway: {message}", file=sys.stderr)
    return status
