"""Which endpoint a session belongs to."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tiers.affinity import preferred

PLACES = [b"http://a/v1", b"http://b/v1", b"http://c/v1", b"http://d/v1"]
IDLE = [0, 0, 0, 0]
KEYS = st.binary(max_size=100)


@given(KEYS, st.permutations(PLACES))
def test_a_key_belongs_to_one_place_whatever_their_order(key: bytes, order: list[bytes]) -> None:
    assert order[preferred(key, order, IDLE)] == PLACES[preferred(key, PLACES, IDLE)]


@given(KEYS, st.sampled_from(PLACES))
def test_only_the_lost_places_keys_move(key: bytes, lost: bytes) -> None:
    """All others stay where they were."""
    left = [place for place in PLACES if place != lost]
    before, after = PLACES[preferred(key, PLACES, IDLE)], left[preferred(key, left, [0, 0, 0])]
    assert before in {after, lost}


def test_keys_are_spread_evenly() -> None:
    """Each of four places gets about a quarter of 4000 keys."""
    found = Counter(preferred(b"session %d" % number, PLACES, IDLE) for number in range(4000))
    assert all(900 < found[place] < 1100 for place in range(4))


def test_a_flooded_place_is_passed_over() -> None:
    """Beyond 1.25 times the mean and one; it is then the next in the key's own order that gets it."""
    key = b"a hot session"
    home = preferred(key, PLACES, IDLE)
    rest = [place for index, place in enumerate(PLACES) if index != home]
    allowed, flooded = [4, 4, 4, 4], [4, 4, 4, 4]
    allowed[home] = 6  # the mean is 4.5, the bound 6.625
    flooded[home] = 8  # 5, 7.25
    assert preferred(key, PLACES, allowed) == home
    assert PLACES[preferred(key, PLACES, flooded)] == rest[preferred(key, rest, [0, 0, 0])]


def test_little_load_is_no_flood() -> None:
    """One request on one of two endpoints does not send the session's next to the other."""
    key, two = b"session", PLACES[:2]
    home = preferred(key, two, [0, 0])
    assert preferred(key, two, [1 if index == home else 0 for index in range(2)]) == home


@given(KEYS, st.lists(st.integers(0, 1000), min_size=1, max_size=4))
def test_there_is_always_one(key: bytes, in_flight: list[int]) -> None:
    """And it is within the bound."""
    index = preferred(key, PLACES[: len(in_flight)], in_flight)
    assert in_flight[index] <= 1.25 * sum(in_flight) / len(in_flight) + 1
