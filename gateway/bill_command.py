"""``tiergate-gateway bill``: its command line, and what a running gateway says."""

import argparse
from typing import Any
from urllib.parse import urlencode

from gateway.asked_gateway import AskedGateway
from gateway.settings import RUNPOD_URL


def add_command(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Add ``bill`` to a parser's commands."""
    text = (
        "Print what Runpod billed beside what was seen of it, by day, endpoint and tier: as a running gateway says"
        " (--gateway), or read from the store that a tier map names."
    )
    bill = commands.add_parser("bill", help="print Runpod's bill beside the books of GPU seconds", description=text)
    bill.add_argument("tiers_file", metavar="FILE", nargs="?", help="the tier map; not with --gateway")
    bill.add_argument("--since", default="7d", metavar="T", help="an age such as 7d, or RFC 3339 (default 7d)")
    bill.add_argument("--until", metavar="T", help="as --since (default: now)")
    bill.add_argument("--tier", metavar="NAME", help="of this tier only")
    bill.add_argument("--format", choices=("table", "csv", "jsonl"), default="table", help="(default table)")
    bill.add_argument("--gateway", metavar="URL", help="ask this gateway, which has to have Runpod's key")
    bill.add_argument(
        "--gateway-key",
        default="env:TIERGATE_KEY",
        metavar="REFERENCE",
        help="where the gateway's admin key is read: env:NAME or file:PATH (default env:TIERGATE_KEY)",
    )
    bill.add_argument("--store", metavar="URL", help="where the gateway keeps its books; overrides the tier map")
    bill.add_argument(
        "--runpod-key",
        default="env:RUNPOD_API_KEY",
        metavar="REFERENCE",
        help="where Runpod's key is read: env:NAME or file:PATH (default env:RUNPOD_API_KEY)",
    )
    bill.add_argument(
        "--runpod-url", default=RUNPOD_URL, metavar="URL", help=f"Runpod's REST API (default {RUNPOD_URL})"
    )


def asked_bill(options: argparse.Namespace) -> str:
    """What ``bill --gateway`` prints.

    Raises:
        NotAnswered: The gateway refused, or cannot be asked.
        SettingsInvalid: Its key cannot be read.
    """
    given = {name: getattr(options, name) for name in ("since", "until", "tier", "format")}
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return AskedGateway(url=options.gateway, key=options.gateway_key).ask(f"/tiergate/v1/bill?{query}")
