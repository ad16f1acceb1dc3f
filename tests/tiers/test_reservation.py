from itertools import product

import pytest

from tiers.reservation import TRANSITIONS, State, TransitionRefused, Verb, advance


@pytest.mark.parametrize(
    ("verb", "state"),
    [(Verb.SETTLE, State.SETTLED), (Verb.RELEASE, State.RELEASED), (Verb.EXPIRE, State.EXPIRED)],
)
def test_a_reservation_ends_in_one_of_three_ways(verb: Verb, state: State) -> None:
    assert advance(State.RESERVED, verb) is state


@pytest.mark.parametrize(("state", "verb"), [pair for pair in product(State, Verb) if pair[0] is not State.RESERVED])
def test_nothing_happens_to_a_reservation_twice(state: State, verb: Verb) -> None:
    with pytest.raises(TransitionRefused, match=f"{state} cannot {verb}") as caught:
        advance(state, verb)
    assert (caught.value.state, caught.value.verb) == (state, verb)


def test_every_verb_is_in_the_table_once() -> None:
    assert {verb for _, verb in TRANSITIONS} == set(Verb)
    assert len(TRANSITIONS) == len(Verb)
