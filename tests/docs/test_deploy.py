"""The page of the deploy tool has every option of its commands, and every exit status."""

import argparse
import re

import pytest

from deploy.cli import parser
from deploy.fleet.command import COMMANDS, DRAIN_SECONDS, EPILOG
from tests.docs.markdown import Page, code_in, tables

PAGE = Page("docs/deploy.md")


def subparsers() -> dict[str, argparse.ArgumentParser]:
    """The fleet's commands by name."""
    [found] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: found.choices[name] for name in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_row_and_every_row_is_an_option(command: str) -> None:
    made = subparsers()[command]
    options = {option for action in made._actions for option in action.option_strings if option.startswith("--")}
    table, _ = tables(PAGE.section("Options"))
    rows = zip(table.column("option"), table.column("commands"), strict=True)
    described = {code_in(option)[0].split()[0] for option, of in rows if of == "all" or command in of.split(", ")}
    assert described == options - {"--help"}


def test_every_exit_status_is_told_as_the_command_tells_it() -> None:
    _, table = tables(PAGE.section("Options"))
    told = {status for cell in table.column("exit status") for status in re.findall(r"\d+", cell)}
    assert told == {*re.findall(r"^  (\d+) ", EPILOG, re.MULTILINE), "143"}
    assert "143: terminated" in EPILOG


def test_what_draining_takes_by_default_is_told() -> None:
    table, _ = tables(PAGE.section("Options"))
    row = next(row for row in table.rows if row[0].startswith("`--drain-seconds"))
    assert code_in(row[2]) == [f"{DRAIN_SECONDS:g}"]
