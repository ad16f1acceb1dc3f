"""The page about what Runpod does names tests that are there, and no section of the collection of facts is left out."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, Page, Table, code_in, tables

PAGE = Page("docs/reference/runpod-conformance.md")
FACTS = ROOT.parent / "shared" / "reference" / "runpod.md"
needs_facts = pytest.mark.skipif(not FACTS.exists(), reason="the collection of facts about Runpod is not at hand")
NUMBER = re.compile(r"\d(\.\d+)?")
_HEADING = re.compile(r"^#{2,3} (\d(?:\.\d+)?)\.? ", re.MULTILINE)


def rows_of(*columns: str) -> list[Table]:
    """The page's tables with these columns."""
    return [table for table in tables(PAGE.text) if table.columns == columns]


FACT_TABLES = rows_of("no.", "fact", "Tiergate", "test")
[UNKNOWN] = rows_of("no.", "question", "what sources say", "chosen", "test")
CELLS = [cell for table in (*FACT_TABLES, UNKNOWN) for cell in table.column("test")]


@cache
def functions_of(path: Path) -> set[str]:
    """The tests in a file."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_row_has_its_number() -> None:
    numbers = [number for table in (*FACT_TABLES, UNKNOWN) for number in table.column("no.")]
    assert [number for number in numbers if not NUMBER.fullmatch(number)] == []


def test_every_row_says_something_in_each_column() -> None:
    empty = [row for table in (*FACT_TABLES, UNKNOWN) for row in table.rows if not all(row)]
    assert empty == []


@pytest.mark.parametrize("cell", sorted(set(CELLS)))
def test_every_test_that_is_named_is_there(cell: str) -> None:
    named = code_in(cell)
    assert named
    for name in named:
        file, _, function = name.partition("::")
        assert function in functions_of(ROOT / file), f"{name} is not there"


@needs_facts
def test_every_section_of_the_facts_has_a_row() -> None:
    """Those that only head others need none; what has no number is no fact."""
    sections = _HEADING.findall(FACTS.read_text(encoding="utf-8"))
    told = {number for table in (*FACT_TABLES, UNKNOWN) for number in table.column("no.")}
    heads = {section.partition(".")[0] for section in sections if "." in section}
    assert sections
    assert [section for section in sections if section not in told | heads] == []


@pytest.mark.parametrize("lock", sorted((ROOT / "locks").glob("*.txt")), ids=lambda lock: lock.name)
def test_runpods_sdk_is_where_batch_work_is_and_nowhere_else(lock: Path) -> None:
    """It holds CrewAI back, lacks what is needed, and in some versions sends every job to one worker."""
    found = re.search(r"^runpod\b", lock.read_text(encoding="utf-8"), re.MULTILINE)
    assert bool(found) == (lock.name in {"batch.txt", "orchestrator-development.txt"})
