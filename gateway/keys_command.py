"""``tiergate-gateway keys`` and ``audit``: a client of a gateway's admin API, so that no change goes unnoted."""

import argparse
import json
from typing import Any, Final
from urllib.parse import quote

from gateway.asked_gateway import URL, AskedGateway, NotAnswered

_COLUMNS: Final = ("id", "name", "team", "state", "tiers", "created_by")


class NotJson(Exception):
    """An option's value is not the JSON that it has to be; the text says which."""


def add_commands(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Add ``keys`` and ``audit`` to a parser's commands."""
    keys = commands.add_parser("keys", help="make, list, rotate and revoke virtual keys", description=__doc__)
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = _asking(actions, "create", "make a key; it is printed once, and never again")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--team", metavar="T", help="whose it is")
    create.add_argument(
        "--tier", action="append", metavar="T", help="a tier it may use; may be repeated (default: all)"
    )
    create.add_argument(
        "--agent", action="append", metavar="GLOB", help="agents that may use it; may be repeated (default: all)"
    )
    create.add_argument("--expires", metavar="WHEN", help="RFC 3339, or a date, at whose end in UTC it expires")
    create.add_argument(
        "--budget", action="append", metavar="JSON", help='such as {"name":"daily","limit":"5 USD","window":"1d"}'
    )
    create.add_argument(
        "--limit", action="append", metavar="JSON", help='such as {"name":"pace","requests_per_minute":60}'
    )
    create.add_argument("--may-make-keys", action="store_true", help="it may make keys, with no more than it has")
    _asking(actions, "list", "all keys")
    for action, text in (("show", "one key"), ("rotate", "another secret for it"), ("revoke", "take it no more")):
        one = _asking(actions, action, text)
        one.add_argument("id", metavar="ID")
        if action == "rotate":
            one.add_argument(
                "--grace-seconds", type=float, metavar="S", help="how long the old one is taken still (default 3600)"
            )
    audit = _asking(commands, "audit", "print the audit log's latest entries, as JSON lines")
    audit.add_argument("--limit", type=int, default=100, metavar="N", help="how many (default 100)")


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; returns the exit status: 3 where entries of the audit log are missing.

    Raises:
        NotJson: An option's value is not JSON.
        NotAnswered: It was refused, or the gateway could not be asked.
        SettingsInvalid: The admin key cannot be read.
    """
    if options.command == "audit":
        answer = _ask(options, "GET", f"/tiergate/v1/audit?limit={options.limit}")
        for entry in answer["data"]:
            print(json.dumps(entry))
        if answer["missing_before"]:
            print(json.dumps({"missing_before": answer["missing_before"]}))
            return 3
        return 0
    path = "/tiergate/v1/keys"
    match options.action:
        case "create":
            print(json.dumps(_ask(options, "POST", path, _written(options)), indent=2))
        case "list":
            _print_table(_ask(options, "GET", path)["data"])
        case "show":
            print(json.dumps(_ask(options, "GET", f"{path}/{quote(options.id, safe='')}"), indent=2))
        case "rotate":
            grace = "" if options.grace_seconds is None else f"?grace_seconds={options.grace_seconds}"
            print(json.dumps(_ask(options, "POST", f"{path}/{quote(options.id, safe='')}/rotate{grace}"), indent=2))
        case _:
            print(json.dumps(_ask(options, "DELETE", f"{path}/{quote(options.id, safe='')}"), indent=2))
    return 0


def _asking(actions: Any, name: str, text: str) -> argparse.ArgumentParser:  # noqa: ANN401 - as above
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--url", default=URL, metavar="URL", help=f"a gateway of the store (default {URL})")
    parser.add_argument(
        "--admin-key",
        default="env:TIERGATE_ADMIN_KEY",
        metavar="REFERENCE",
        help="where the admin key, or one that may make keys, is read: env:NAME or file:PATH"
        " (default env:TIERGATE_ADMIN_KEY)",
    )
    return parser


def _written(options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "name": options.name,
        "team": options.team,
        "tiers": options.tier,
        "agents": options.agent,
        "expires": options.expires,
        "budgets": _read(options.budget, "--budget"),
        "limits": _read(options.limit, "--limit"),
        "may_make_keys": options.may_make_keys or None,
    }
    return {field: value for field, value in given.items() if value is not None}


def _read(texts: list[str] | None, option: str) -> list[Any] | None:
    try:
        return None if texts is None else [json.loads(text) for text in texts]
    except ValueError as error:
        raise NotJson(f"{option}: is not JSON: {error}") from None


def _ask(options: argparse.Namespace, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    at = AskedGateway(url=options.url, key=options.admin_key, url_option="--url", key_option="--admin-key")
    answer = at.ask(path, method=method, body=body)
    try:
        return json.loads(answer)
    except ValueError as error:
        raise NotAnswered(f"{options.url}: {error}") from error


def _print_table(keys: list[dict[str, Any]]) -> None:
    rows = [_COLUMNS, *([_cell(key, column) for column in _COLUMNS] for key in keys)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(key: dict[str, Any], column: str) -> str:
    if column == "state":
        return "revoked" if key["revoked_unix"] is not None else "in use"
    if column == "tiers":
        return "all" if key["tiers"] is None else ",".join(key["tiers"])
    return str(key[column]) or "-"
