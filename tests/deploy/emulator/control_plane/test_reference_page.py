"""That the page about the emulated control plane says what is served and names tests that are there."""

import ast
import re
from pathlib import Path

import pytest
from starlette.routing import Route

from tests.deploy.emulator.control_plane.rig import Rig
from tests.docs.markdown import Page, Table, code_in, tables

PAGE = Page("docs/reference/runpod-control-plane.md")
HERE = Path(__file__).parent
SECTION_OF_A_FACT = re.compile(r"\d(\.\d+)?")


def facts() -> list[Table]:
    return [table for table in tables(PAGE.text) if table.columns == ("no.", "fact", "the emulator", "test")]


def functions_of(file: str) -> set[str]:
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", [row for table in facts() for row in table.rows], ids=lambda row: row[1][:40])
def test_every_fact_has_its_number_and_tests_that_are_there(row: tuple[str, ...]) -> None:
    number, _, _, tests = row
    assert SECTION_OF_A_FACT.fullmatch(number)
    named = code_in(tests)
    assert named
    for name in named:
        file, _, function = name.partition("::")
        assert function in functions_of(file), f"{name} is not there"


def test_every_route_is_on_the_page_and_no_other() -> None:
    [table] = [table for table in tables(PAGE.text) if table.columns == ("path", "methods")]
    told = {code_in(path)[0]: set(methods.split(", ")) for path, methods in table.rows}
    routes = [route for route in Rig().app.routes if isinstance(route, Route)]
    assert told == {route.path: set(route.methods or ()) - {"HEAD"} for route in routes}
