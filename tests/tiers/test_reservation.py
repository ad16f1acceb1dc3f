import pytest

from tiers.reservation import TRANSITIONS, State, TransitionRefused, Verb, advance


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        (Verb.SETTLE, State.SETTLED),
        (Verb.BOOK, State.SETTLED),
        (Verb.RELEASE, State.RELEASED),
        (Verb.EXPIRE, State.EXPIRED),
    ],
)
def test_a_reservation_ends_in_one_of_three_ways(verb: Verb, state: State) -> None:
    assert advance(State.RESERVED, verb) is state


@pytest.mark.parametrize("verb", [Verb.EXTEND, Verb.RENEW])
def test_a_reservation_that_lives_on_is_still_reserved(verb: Verb) -> None:
    assert advance(State.RESERVED, verb) is State.RESERVED


def test_what_was_released_can_still_be_booked() -> None:
    """Its attempt was let in without a reservation, after one had been given up."""
    assert advance(State.RELEASED, Verb.BOOK) is State.SETTLED


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("state", [State.SETTLED, State.EXPIRED])
def test_nothing_happens_to_a_reservation_that_was_charged(state: State, verb: Verb) -> None:
    with pytest.raises(TransitionRefused, match=f"{state} cannot {verb}") as caught:
        advance(state, verb)
    assert (caught.value.state, caught.value.verb) == (state, verb)


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.BOOK])
def test_nothing_else_happens_to_what_was_released(verb: Verb) -> None:
    with pytest.raises(TransitionRefused):
        advance(State.RELEASED, verb)


def test_every_verb_is_in_the_table() -> None:
    assert {verb for _, verb in TRANSITIONS} == set(Verb)
