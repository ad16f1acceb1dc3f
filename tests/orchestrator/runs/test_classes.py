"""A class is found again by its name, or it has none."""

import pytest
from crewai.flow.flow import Flow

from orchestrator.errors import ValueNotKept
from orchestrator.runs.classes import class_named, name_of
from orchestrator.runs.run import Run


class Outer:
    """A class with another in it."""

    class Inner:
        """The other."""


def test_a_class_is_found_by_its_name() -> None:
    for found in (Run, Flow, Outer.Inner):
        name = name_of(found)
        assert name
        assert class_named(name, ()) is found


def test_a_class_that_another_hides_has_no_name() -> None:
    hidden = type("Run", (), {"__module__": Run.__module__, "__qualname__": "Run"})
    assert name_of(hidden) is None
    assert name_of(type("Gone", (), {"__module__": "no.such.module"})) is None


@pytest.mark.parametrize("name", ["orchestrator.runs.run:Nothing", "os:getcwd", "no.such:Run", "", ":", "os:"])
def test_what_is_no_class_is_refused(name: str) -> None:
    with pytest.raises(ValueNotKept, match="there is no such class"):
        class_named(name, ())
