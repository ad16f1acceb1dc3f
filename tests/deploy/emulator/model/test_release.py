"""Releases."""

from deploy.emulator.model.config import RequestCount
from deploy.emulator.model.release import Change, changes
from tests.deploy.emulator.worlds import config


def test_a_release_says_what_changed_as_plain_values() -> None:
    found = changes(config(), config(workers_max=5, scaling=RequestCount(requests=2)))
    assert found == (
        Change(field="scaling", old={"seconds": 4.0}, new={"requests": 2}),
        Change(field="workers_max", old=3, new=5),
    )


def test_nothing_changed_is_no_change() -> None:
    assert changes(config(), config()) == ()
