"""An endpoint's way through time."""

from deploy.emulator.model.idleness import DAY_SECONDS
from deploy.emulator.model.step import next_at, step
from tests.deploy.emulator.worlds import START, config, endpoint_in, world


def test_what_is_due_is_done_and_then_no_longer_due() -> None:
    made = world()
    endpoint = endpoint_in(made, config(workers_min=1))
    due = next_at(endpoint)
    assert due is not None
    step(endpoint, due)
    after = next_at(endpoint)
    assert after is not None
    assert after > due


def test_nothing_happens_by_itself_but_the_cut_for_idleness() -> None:
    endpoint = endpoint_in(world())
    assert next_at(endpoint) == START + 3 * DAY_SECONDS
    assert next_at(endpoint_in(world(), config(workers_max=0))) is None
