"""The page about the sixteen faults names exactly the tests that there are, and none of the faults lacks one."""

from collections.abc import Callable, Iterator
from types import ModuleType

import tests.acceptance.test_sixteen_faults as before
import tests.acceptance.test_sixteen_faults_midway as midway
import tests.acceptance.test_sixteen_faults_outage as outage
from tests.docs.markdown import Page, code_in, tables

FAULTS = [f"S{number:02}" for number in range(1, 17)]
[TABLE] = tables(Page("docs/reference/faults.md").text)


def fault_tests() -> Iterator[tuple[str, Callable[..., object]]]:
    """Every test of a fault, with its name."""
    modules: tuple[ModuleType, ...] = (before, midway, outage)
    for module in modules:
        yield from ((name, value) for name, value in vars(module).items() if name.startswith("test_s"))


def modes(test: Callable[..., object]) -> set[bool]:
    """Whether it is run for whole answers (``False``), for streams (``True``), or for both."""
    marks = getattr(test, "pytestmark", [])
    return {mode for mark in marks if mark.name == "parametrize" and mark.args[0] == "stream" for mode in mark.args[1]}


def test_the_page_has_a_row_for_each_fault() -> None:
    assert TABLE.column("id") == FAULTS


def test_the_page_names_each_test_in_the_row_of_its_fault() -> None:
    named = dict(zip(TABLE.column("id"), map(code_in, TABLE.column("tests")), strict=True))
    there = {fault: [name for name, _ in fault_tests() if name[5:8].upper() == fault] for fault in FAULTS}
    assert named == there


def test_each_fault_is_tested_for_whole_answers_and_for_streams() -> None:
    for fault in FAULTS:
        tested = [modes(test) for name, test in fault_tests() if name[5:8].upper() == fault]
        assert {False, True} in tested, fault
