"""Crews of one process do not get each other's agents."""

from crewai.project import utils
from crewai.project.utils import memoize

from orchestrator.instances import keep_instances_apart


class Maker:
    """As a crew class: one of its methods is asked once."""

    def __init__(self, name: str) -> None:
        self.name = name

    @memoize
    def made(self) -> str:
        """What CrewAI remembers."""
        return self.name


def test_an_instance_that_gets_a_freed_ones_id_gets_nothing_else_of_it() -> None:
    """Python gives ids again at once, so that one of many is bound to meet an old one."""
    keep_instances_apart()
    assert [Maker(str(number)).made() for number in range(200)] == [str(number) for number in range(200)]


def test_one_instance_is_still_asked_once() -> None:
    keep_instances_apart()
    maker = Maker("first")
    assert maker.made() == "first"
    maker.name = "second"
    assert maker.made() == "first"


def test_keeping_apart_twice_is_keeping_apart() -> None:
    keep_instances_apart()
    kept = utils._make_hashable
    keep_instances_apart()
    assert utils._make_hashable is kept
    assert utils._make_hashable({"a": [1]}) == (("a", (1,)),)
    assert utils._make_hashable(Maker) == ("__instance__", id(Maker))
