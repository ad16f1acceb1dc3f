import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.meter import Meter


def test_a_request_alone_pays_for_all_its_time() -> None:
    meter = Meter()
    token = meter.start(100.0)
    assert meter.in_flight == 1
    assert meter.finish(token, 103.0) == 3.0
    assert meter.in_flight == 0


def test_requests_together_share_each_second() -> None:
    """From 0 to 2 the first is alone, from 2 to 6 there are two, from 6 to 7 the second is alone."""
    meter = Meter()
    first = meter.start(0.0)
    second = meter.start(2.0)
    assert meter.finish(first, 6.0) == pytest.approx(2 + 4 / 2)
    assert meter.finish(second, 7.0) == pytest.approx(4 / 2 + 1)


def test_idle_time_is_nobodys() -> None:
    meter = Meter()
    meter.finish(meter.start(0.0), 1.0)
    assert meter.finish(meter.start(1000.0), 1001.0) == 1.0


def test_time_that_goes_back_charges_nothing() -> None:
    meter = Meter()
    token = meter.start(10.0)
    assert meter.finish(token, 9.0) == 0.0


def test_finishing_what_never_started_is_refused() -> None:
    with pytest.raises(ValueError, match="no request is in flight"):
        Meter().finish(0.0, 1.0)


@given(
    st.lists(
        st.tuples(st.floats(min_value=0, max_value=1000), st.floats(min_value=0, max_value=100)),
        max_size=30,
    )
)
def test_shares_add_up_to_the_busy_seconds(requests: list[tuple[float, float]]) -> None:
    """Whatever overlaps: no second is charged twice or to nobody."""
    events = sorted(
        [(start, 1, index) for index, (start, _) in enumerate(requests)]
        + [(start + length, 2, index) for index, (start, length) in enumerate(requests)],
    )
    meter, tokens, shares, busy, before = Meter(), {}, 0.0, 0.0, 0.0
    for now, kind, index in events:
        busy += now - before if meter.in_flight else 0.0
        before = now
        if kind == 1:
            tokens[index] = meter.start(now)
        else:
            share = meter.finish(tokens[index], now)
            assert share >= 0
            shares += share
    assert meter.in_flight == 0
    assert shares == pytest.approx(busy, abs=1e-6)
