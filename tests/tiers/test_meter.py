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


def test_fifty_requests_on_one_worker_pay_it_once() -> None:
    meter = Meter()
    tokens = [meter.start(0.0) for _ in range(50)]
    assert sum(meter.finish(token, 10.0) for token in tokens) == pytest.approx(10.0)


def test_workers_that_have_no_request_are_not_paid_by_requests() -> None:
    """Three workers, two requests: each pays for its own worker, and nobody for the third."""
    meter = Meter()
    meter.tell(0.0, workers=3, elsewhere=0)
    tokens = [meter.start(0.0), meter.start(0.0)]
    assert [meter.finish(token, 4.0) for token in tokens] == [4.0, 4.0]
    assert meter.attributed == 8.0


def test_requests_of_other_processes_pay_their_part() -> None:
    """Two workers, one request here and three elsewhere: half a second each; from 4 on it is alone."""
    meter = Meter()
    meter.tell(0.0, workers=2, elsewhere=3)
    token = meter.start(0.0)
    meter.tell(4.0, workers=2, elsewhere=0)
    assert meter.finish(token, 5.0) == 3.0


def test_waiting_for_the_first_worker_is_nobodys_share() -> None:
    meter = Meter()
    meter.tell(0.0, workers=0, elsewhere=0)
    token = meter.start(0.0)
    meter.tell(60.0, workers=1, elsewhere=0)
    assert meter.finish(token, 62.0) == 2.0


STEPS = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=2),
        st.sampled_from(["start", "finish", "workers"]),
        st.integers(min_value=0, max_value=1),
        st.integers(min_value=0, max_value=4),
    ),
    max_size=60,
)


@given(STEPS)
def test_shares_are_the_busy_worker_seconds_whatever_comes_and_goes(steps: list[tuple[float, str, int, int]]) -> None:
    """min(workers, requests) of every second, however often either changes."""
    tokens: list[float] = []
    meter, now, workers, busy, shares = Meter(), 0.0, 1, 0.0, 0.0
    for wait, what, _, count in [*steps, *[(1.0, "finish", 0, 0)] * len(steps)]:
        busy += wait * min(workers, len(tokens))
        now += wait
        if what == "start":
            tokens.append(meter.start(now))
        elif what == "workers":
            workers = count
            meter.tell(now, workers=workers, elsewhere=0)
        elif tokens:
            shares += meter.finish(tokens.pop(0), now)
    assert not tokens
    assert shares == pytest.approx(busy, abs=1e-6)
    assert meter.attributed == pytest.approx(busy, abs=1e-6)


@given(STEPS)
def test_two_processes_are_wrong_by_no_more_than_they_know_late(steps: list[tuple[float, str, int, int]]) -> None:
    """Told every quarter of a second: each change costs at most all workers for so long, per process."""
    every, workers = 0.25, 2
    tokens: tuple[list[float], list[float]] = ([], [])
    meters, now, due, busy = [Meter(), Meter()], 0.0, 0.0, 0.0
    for wait, what, which, _ in steps:
        until = now + wait
        while due <= until:
            for index, meter in enumerate(meters):
                meter.tell(due, workers=workers, elsewhere=meters[1 - index].in_flight)
            due += every
        busy += wait * min(workers, len(tokens[0]) + len(tokens[1]))
        now = until
        if what == "start":
            tokens[which].append(meters[which].start(now))
        elif tokens[which]:
            meters[which].finish(tokens[which].pop(), now)
    for meter in meters:
        meter.tell(now, workers=workers, elsewhere=0)
    assert abs(sum(meter.attributed for meter in meters) - busy) <= workers * every * len(meters) * len(steps) + 1e-6


def test_what_is_not_owed_after_all_is_given_back() -> None:
    meter = Meter()
    assert meter.finish(meter.start(0.0), 3.0) == 3.0
    meter.give_back(1.0)
    assert meter.attributed == 2.0
