"""``tiergate-gateway usage`` and ``budget explain``: what was used and how a budget is, as a running gateway says."""

import argparse
import http.client
import json
import ssl
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from gateway.settings import read_secret
from gateway.usage.printed import FORMS
from gateway.usage.question import FILTERS, GROUPS, SINCE

URL: Final = "http://127.0.0.1:8080"
ANSWER_SECONDS: Final = 60.0


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
    text = "Print what is left of a budget, which requests hold it until when, and whom it refused, as JSON."
    explain = actions.add_parser("explain", help=text, description=text)
    explain.add_argument("name", metavar="NAME")
    explain.add_argument("--owner", metavar="O", help="of this owner only")
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
    return f"{json.dumps(json.loads(answer), indent=2)}\n"


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
    url = urlsplit(options.gateway)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise UsageFailed(f"--gateway: {options.gateway!r} is no http:// or https:// address")
    key = read_secret(options.gateway_key, "--gateway-key")
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection(
            url.hostname, url.port, timeout=ANSWER_SECONDS, context=ssl.create_default_context()
        )
        if url.scheme == "https"
        else http.client.HTTPConnection(url.hostname, url.port, timeout=ANSWER_SECONDS)
    )
    try:
        connection.request("GET", url.path.rstrip("/") + path, headers={"authorization": f"Bearer {key}"})
        response = connection.getresponse()
        answer = response.read().decode()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UsageFailed(f"{options.gateway}: {error}") from error
    finally:
        connection.close()
    if response.status >= 400:  # noqa: PLR2004 - HTTP's border
        raise UsageFailed(_message(answer, response.status))
    return answer


def _message(answer: str, status: int) -> str:
    try:
        message: str = json.loads(answer)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        return f"the gateway answered with status {status}"
    return message
