"""``tiergate-gateway usage`` and ``budget explain``: what was used and how a budget is, as a running gateway says."""

import argparse
import json
from typing import Any
from urllib.parse import quote, urlencode

from gateway.asked_gateway import URL, AskedGateway, NotAnswered
from gateway.usage.printed import FORMS
from gateway.usage.question import FILTERS, GROUPS, SINCE
from gateway.usage.told import told


class UsageFailed(Exception):
    """The gateway refused, or could not be asked; the text says why."""


def add_commands(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Add ``usage`` and ``budget`` to a parser's commands."""
    text = "Print what was used, counted by tier, agent and the like. A running gateway is asked, with a key."
    usage = commands.add_parser("usage", help="print what was used", description=text)
    usage.add_argument("--by", default="tier", metavar="A,B", help=f"some of {', '.join(GROUPS)} (default tier)")
    usage.add_argument(
        "--since", default=SINCE, metavar="T", help=f"an age such as 12h or 7d, or RFC 3339 (default {SINCE})"
    )
    usage.add_argument("--until", metavar="T", help="as --since (default: now)")
    for name in FILTERS:
        usage.add_argument(f"--{name}", metavar="NAME", help=f"of this {name} only")
    usage.add_argument("--format", choices=FORMS, default="table", help="(default table)")
    _add_gateway(usage)
    budget = commands.add_parser("budget", help="explain a budget", description="Explain a budget.")
    actions = budget.add_subparsers(dest="action", required=True, metavar="ACTION")
    text = "Print what is left of a budget, which requests hold it until when, and whom it refused."
    explain = actions.add_parser("explain", help=text, description=text)
    explain.add_argument("name", metavar="NAME")
    explain.add_argument("--owner", metavar="O", help="of this owner only")
    explain.add_argument("--format", choices=("table", "json"), default="table", help="(default table)")
    _add_gateway(explain)


def usage_text(options: argparse.Namespace) -> str:
    """What these commands print.

    Raises:
        UsageFailed: It was refused, or the gateway could not be asked.
        SettingsInvalid: The key cannot be read.
    """
    if options.command == "usage":
        names = ("by", "since", "until", *FILTERS, "format")
        return _ask(options, f"/tiergate/v1/usage{_query(options, names)}")
    answer = _ask(options, f"/tiergate/v1/budgets/{quote(options.name, safe='')}{_query(options, ('owner',))}")
    read = json.loads(answer)
    return told(read) if options.format == "table" else f"{json.dumps(read, indent=2)}\n"


def _query(options: argparse.Namespace, names: tuple[str, ...]) -> str:
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    return f"?{urlencode(given)}" if given else ""


def _add_gateway(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gateway", default=URL, metavar="URL", help=f"who is asked (default {URL})")
    parser.add_argument(
        "--gateway-key",
        default="env:TIERGATE_KEY",
        metavar="REFERENCE",
        help="where a key of the gateway is read, which sees its own requests, or the admin key, which sees all:"
        " env:NAME or file:PATH (default env:TIERGATE_KEY)",
    )


def _ask(options: argparse.Namespace, path: str) -> str:
    try:
        return AskedGateway(url=options.gateway, key=options.gateway_key).ask(path)
    except NotAnswered as error:
        raise UsageFailed(str(error)) from error
