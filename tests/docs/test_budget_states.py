"""The page about a reservation's life draws the table that is in the code."""

from tests.docs.markdown import Page, code_in, tables
from tiers.reservation import TRANSITIONS, State, Verb

STATES, STEPS, REASONS = tables(Page("docs/reference/budget-states.md").text)


def named(column: list[str]) -> list[str]:
    """The one word in code type of each cell."""
    return [word for cell in column for word in code_in(cell)]


def test_the_page_draws_each_step_of_the_table_and_no_other() -> None:
    drawn = list(zip(*(named(STEPS.column(name)) for name in STEPS.columns), strict=True))
    assert drawn == [(state, verb, then) for (state, verb), then in TRANSITIONS.items()]


def test_the_page_tells_what_each_state_counts() -> None:
    assert named(STATES.column("state")) == list(State)


def test_the_page_tells_when_each_verb_is_used() -> None:
    assert named(REASONS.column("verb")) == list(Verb)
