"""The house rules that a program can check."""

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import pytest

from tests.docs.markdown import ROOT

PACKAGES = ("gateway", "orchestrator", "tiers", "deploy")
FOLDERS = (*PACKAGES, "tests", "examples", "bench")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
FILE_LINES_MEDIAN_MAX = 150
SUFFIXES = {".py", ".lua", ".md", ".yaml", ".toml", ".sh"}
GRAB_BAGS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "services", "misc"}
LEFT_FOR_LATER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")

TESTED_ELSEWHERE = {
    "gateway/upstream/response.py": "what a pool hands out: test_pool.py and test_connection.py beside it",
    "gateway/upstream/transport.py": "values and protocols without behaviour",
    "gateway/record.py": "a value without behaviour",
    "gateway/served.py": "values without behaviour",
    "gateway/wire/shapes.py": "values without behaviour",
    "tiers/holds.py": "values without behaviour",
    "orchestrator/runs/builtin_values.py": "how test_values.py beside it has Python's own types written",
    "orchestrator/runs/kept_run.py": "a value: test_directory_store.py beside it",
    "gateway/budget/valkey.py": "needs a store: tests/contract and tests/integration/test_valkey_ledger.py",
    "gateway/store/embedded.py": "needs a server: tests/integration/test_store.py",
    "gateway/telemetry/records.py": "needs a store: tests/integration/test_records.py",
}
"""Source files without a test file of their own → why, and where they are tested."""


def python_files(*folders: str) -> list[Path]:
    """Every Python file in ``folders``, by its path from the root."""
    return sorted(file.relative_to(ROOT) for folder in folders for file in (ROOT / folder).rglob("*.py"))


def text_files() -> Iterator[Path]:
    """Every text file that people write, by its path from the root."""
    for folder in (*FOLDERS, "docs"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in SUFFIXES and "__pycache__" not in file.parts:
                yield file.relative_to(ROOT)
    yield from (file.relative_to(ROOT) for file in ROOT.glob("*.md"))


def test_no_function_is_longer_than_seventy_lines() -> None:
    long = [
        f"{file}:{node.lineno} {node.name}"
        for file in python_files(*FOLDERS)
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_no_file_is_longer_than_five_hundred_lines_and_most_are_short() -> None:
    lengths = {file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in python_files(*FOLDERS)}
    assert [str(file) for file, length in lengths.items() if length > FILE_LINES_MAX] == []
    assert median(lengths[file] for file in python_files(*PACKAGES)) <= FILE_LINES_MEDIAN_MAX


def test_no_module_is_a_grab_bag() -> None:
    assert [str(file) for file in python_files(*FOLDERS) if GRAB_BAGS & {file.stem, *file.parent.parts}] == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(file)
        for file in python_files(*PACKAGES)
        if file.name != "__main__.py" and not ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_nothing_is_left_for_later() -> None:
    found = [str(file) for file in text_files() if LEFT_FOR_LATER.search((ROOT / file).read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize("file", sorted((ROOT / "locks").iterdir()), ids=lambda file: file.name)
def test_lock_files_hold_no_address(file: Path) -> None:
    """Where packages come from is the business of whoever installs."""
    text = file.read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    if file.suffix == ".txt":
        pinned = re.findall(r"^[a-zA-Z0-9].*?==", text, re.MULTILINE)
        assert pinned
        assert len(re.findall(r"==[^\n]*\\\n +--hash=sha256:", text)) == len(pinned)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_four_packages_are_those_of_this_checkout(name: str) -> None:
    """A stray package of the same name in the environment would shadow ours without a word."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin == str(ROOT / name / "__init__.py")
    assert spec.submodule_search_locations is not None
    assert list(spec.submodule_search_locations) == [str(ROOT / name)]


def test_every_source_file_has_a_test_file_that_mirrors_it() -> None:
    missing = []
    for file in python_files(*PACKAGES):
        if file.name in {"__init__.py", "__main__.py"} or str(file) in TESTED_ELSEWHERE:
            continue
        if not (ROOT / "tests" / file.parent / f"test_{file.name}").is_file():
            missing.append(str(file))
    assert missing == []


def test_the_exceptions_to_that_are_still_exceptions() -> None:
    for name in TESTED_ELSEWHERE:
        file = Path(name)
        assert (ROOT / file).is_file(), f"{name} is gone"
        assert not (ROOT / "tests" / file.parent / f"test_{file.name}").exists(), f"{name} has its test file now"
