"""The pages on verify and status name what the code has."""

import argparse
import ast
import re

from deploy.cli import parser
from tests.docs.markdown import Page, code_in, tables
from tests.docs.test_reference import commands, source

VERIFY = Page("docs/verify.md")
CONFIGURATION = Page("docs/configuration.md")


def test_every_cause_has_a_row_and_every_row_is_a_cause() -> None:
    told = re.findall(r'(?:CheckFailed\(|cause=|_failed\()\s*"([a-z_]+)"', source("deploy/verify"))
    told += ["engine_error", "bad_answer", "flow_refused", "ControlPlaneUnauthorized"]
    [table] = [each for each in tables(VERIFY.text) if each.columns[0] == "cause"]
    assert {code for cell in table.column("cause") for code in code_in(cell)} == set(told)


def test_every_check_has_a_row_and_every_row_is_a_check() -> None:
    """Found where they are made: the third word of ``course.check``."""
    calls = (node for node in ast.walk(ast.parse(source("deploy/verify"))) if isinstance(node, ast.Call))
    named = [call.args[2] for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "check"]
    made = {str(each.value) for each in named if isinstance(each, ast.Constant)}
    [table] = [each for each in tables(VERIFY.text) if each.columns[0] == "layer"]
    assert {cell.strip("`") for cell in table.column("check")} == made | {"answers as the tier's `model"}


def test_every_option_of_both_has_a_row_and_every_row_is_an_option() -> None:
    table = next(tables(CONFIGURATION.section("Verify and status")))
    described = {code_in(cell)[0].split()[0] for cell in table.column("option")}
    made: set[str] = set()
    for name in ("verify", "status"):
        made |= _options(commands(parser())[name])
    assert described == made - {"--help"}


def _options(command: argparse.ArgumentParser) -> set[str]:
    return {option for action in command._actions for option in action.option_strings if option.startswith("--")}
