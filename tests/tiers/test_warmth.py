"""How awake an endpoint is: the table, what a sample says, and that no order of events leads astray."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.warmth import (
    SPANS_MAX,
    TRANSITIONS,
    Condition,
    Event,
    Patience,
    Sample,
    State,
    capacity,
    heard,
    passed,
    proven,
    told,
    wake_seconds,
    workers_needed,
)

PATIENCE = Patience(stuck=30, doze=60, believed=90, grace=5)
SHORT = {
    "unknown": State.UNKNOWN,
    "cold": State.COLD,
    "waking": State.WAKING,
    "warm": State.WARM,
    "throttled": State.THROTTLED,
    "crash-l.": State.CRASH_LOOPING,
    "paused": State.PAUSED,
}
TABLE = """
            unknown    cold       waking     warm       throttled  crash-l.   paused
answered    warm       warm       warm       ·          warm       warm       warm
called      waking     waking     ·          ·          ·          ·          ·
asleep      cold       ·          ·          cold       ·          ·          ·
proof       warm       warm       warm       ·          warm       warm       warm
resting     warm       warm       warm       ·          warm       cold       warm
loading     waking     waking     ·          waking     waking     ·          waking
coming      waking     waking     ·          waking     waking     ·          waking
throttled   throttled  throttled  throttled  throttled  ·          throttled  throttled
crashing    crash-l.   crash-l.   crash-l.   crash-l.   crash-l.   ·          crash-l.
stuck       waking     waking     ·          waking     waking     ·          ·
stalled     paused     paused     paused     paused     paused     ·          ·
nothing     cold       ·          cold       cold       cold       cold       ·
doubted     ·          ·          ·          cold       cold       cold       cold
"""


def rows() -> list[tuple[State, Event, State]]:
    """The table above, which is the module's, cell by cell."""
    head, *lines = TABLE.strip().splitlines()
    states = [SHORT[word] for word in head.split()]
    found = []
    for line in lines:
        event, *cells = line.split()
        for state, cell in zip(states, cells, strict=True):
            found.append((state, Event(event), state if cell == "·" else SHORT[cell]))
    return found


@pytest.mark.parametrize(("state", "event", "after"), rows())
def test_every_event_in_every_state_has_one_next_state(state: State, event: Event, after: State) -> None:
    assert TRANSITIONS[state, event] is after


def test_the_table_is_complete() -> None:
    assert set(TRANSITIONS) == set(product(State, Event))
    assert len(rows()) == len(TRANSITIONS)


def after(*samples: tuple[float, Sample], balanced: bool = False, asked: bool = False) -> Condition:
    """What is known after samples at these times."""
    condition = Condition()
    for at, sample in samples:
        condition = heard(condition, sample, at=at, balanced=balanced, asked=asked, patience=PATIENCE)
    return condition


@pytest.mark.parametrize(
    ("sample", "state"),
    [
        (Sample(), State.COLD),
        (Sample(running=1, ready=1, in_progress=1), State.WARM),
        (Sample(idle=1, in_progress=1), State.WARM),
        (Sample(in_progress=1), State.COLD),
        (Sample(ready=1, idle=1), State.WARM),
        (Sample(idle=1), State.COLD),
        (Sample(idle=1, in_queue=1), State.WAKING),
        (Sample(ready=1, idle=1, in_queue=2), State.WAKING),
        (Sample(ready=1, unhealthy=1), State.WAKING),
        (Sample(initializing=1, in_queue=1), State.WAKING),
        (Sample(initializing=1), State.COLD),
        (Sample(initializing=1, unhealthy=1), State.WAKING),
        (Sample(throttled=2, in_queue=1), State.THROTTLED),
        (Sample(unhealthy=1, throttled=2), State.CRASH_LOOPING),
        (Sample(in_queue=1), State.WAKING),
    ],
)
def test_what_the_health_of_a_queue_endpoint_says(sample: Sample, state: State) -> None:
    """A worker that is ready while requests wait still loads."""
    assert after((100, sample)).state is state


@pytest.mark.parametrize(
    ("sample", "asked", "state"),
    [
        (Sample(ready=1, running=1), False, State.WARM),
        (Sample(running=1), True, State.WAKING),
        (Sample(running=1), False, State.WAKING),
        (Sample(idle=1), False, State.COLD),
        (Sample(initializing=1), True, State.WAKING),
        (Sample(initializing=1), False, State.WAKING),
        (Sample(), True, State.WAKING),
        (Sample(), False, State.COLD),
    ],
)
def test_what_the_health_of_a_load_balancer_says(sample: Sample, asked: bool, state: State) -> None:
    """There, ready workers have passed their health check; no queue tells that somebody waits."""
    assert after((100, sample), balanced=True, asked=asked).state is state


def test_requests_that_wait_for_long_without_any_worker_mean_that_none_may_start() -> None:
    """Not at once: a scaler takes seconds. A worker that comes in between begins the wait anew."""
    stuck = Sample(in_queue=1)
    assert after((100, stuck), (129, stuck)).state is State.WAKING
    assert after((100, stuck), (130, stuck)).state is State.PAUSED
    coming = Sample(in_queue=1, initializing=1)
    assert after((100, stuck), (120, coming), (131, stuck)).state is State.WAKING
    # It stays so while requests wait, and is doubted a while after.
    paused = after((100, stuck), (130, stuck), (200, stuck))
    assert (paused.state, paused.since, paused.heard_at) == (State.PAUSED, 130, 200)
    assert after((100, stuck), (130, stuck), (140, Sample())).state is State.PAUSED
    assert passed(paused, 289, patience=PATIENCE).state is State.PAUSED
    doubted = passed(paused, 290, patience=PATIENCE)
    assert (doubted.state, doubted.since, doubted.stuck_since) == (State.COLD, 290, None)


def test_bad_news_end_when_something_better_is_heard() -> None:
    """Or when they were not heard for a while."""
    throttled = after((100, Sample(throttled=1, in_queue=1)))
    assert heard_at(throttled, 101, Sample(initializing=1, in_queue=1)).state is State.WAKING
    crashing = after((100, Sample(unhealthy=1, in_queue=1)))
    # Each worker of a crash loop loads first.
    assert heard_at(crashing, 101, Sample(ready=1, in_queue=1)).state is State.CRASH_LOOPING
    assert heard_at(crashing, 101, Sample(running=1, in_progress=1)).state is State.WARM
    assert told(crashing, Event.ANSWERED, 101).state is State.WARM
    assert passed(crashing, 189, patience=PATIENCE) is crashing
    assert passed(crashing, 190, patience=PATIENCE).state is State.COLD


def heard_at(condition: Condition, at: float, sample: Sample) -> Condition:
    return heard(condition, sample, at=at, balanced=False, asked=False, patience=PATIENCE)


def test_a_worker_that_rests_is_warm_and_has_proved_nothing() -> None:
    """It may be one that FlashBoot only holds. One that has just worked has proved it."""
    resting = heard_at(Condition(), 100, Sample(ready=1, idle=1))
    assert (resting.state, proven(resting, 100, PATIENCE)) == (State.WARM, False)
    worked = told(resting, Event.ANSWERED, 200)
    assert [proven(worked, at, PATIENCE) for at in (259, 260)] == [True, False]


def test_a_worker_that_is_up_while_requests_wait_loads_unless_it_has_just_worked() -> None:
    """Between two jobs there are moments in which none is in progress."""
    loading = Sample(ready=1, in_queue=3)
    worked = told(Condition(), Event.ANSWERED, 100)
    assert heard_at(worked, 159, loading).state is State.WARM
    assert heard_at(worked, 160, loading).state is State.WAKING
    resting = heard_at(Condition(), 100, Sample(ready=1, idle=1))
    assert heard_at(resting, 101, loading).state is State.WAKING
    # A load balancer's worker that is not ready any more takes no requests.
    balanced = after((100, Sample(ready=1, running=1)), (101, Sample(running=1)), balanced=True, asked=True)
    assert balanced.state is State.WAKING


def test_what_nobody_confirms_any_more_is_not_believed_for_ever() -> None:
    """As where Runpod's health cannot be asked."""
    warm = told(Condition(), Event.ANSWERED, 100)
    assert passed(warm, 189, patience=PATIENCE) is warm
    assert passed(warm, 190, patience=PATIENCE).state is State.COLD
    confirmed = heard_at(warm, 150, Sample(ready=1))
    assert passed(confirmed, 239, patience=PATIENCE).state is State.WARM
    cold = told(warm, Event.ASLEEP, 110)
    assert passed(cold, 9999, patience=PATIENCE) is cold


def test_late_news_change_nothing() -> None:
    """A sample that was taken before the latest answer, or just after a call, does not know of it."""
    warm = told(Condition(), Event.ANSWERED, 100)
    assert heard_at(warm, 99.9, Sample()) is warm
    assert heard_at(warm, 100.1, Sample()).state is State.COLD
    called = told(Condition(), Event.CALLED, 100)
    assert heard_at(called, 104.9, Sample()) is called
    assert heard_at(called, 104.9, Sample(ready=1)) is called
    assert heard_at(called, 105, Sample()).state is State.COLD
    assert heard_at(called, 101, Sample(running=1, in_progress=1)).state is State.WARM


def test_a_wake_lasts_from_the_call_to_a_worker_at_work() -> None:
    """Also where no GPU was free for a while; the middle of the latest ones is what is expected."""
    condition = Condition()
    assert wake_seconds(condition, 60) == 60
    for begun, took in ((1000, 10), (2000, 50), (3000, 40)):
        condition = told(condition, Event.CALLED, begun)
        condition = told(condition, Event.THROTTLED, begun + 1)
        condition = told(condition, Event.COMING, begun + 2)
        condition = told(condition, Event.ANSWERED, begun + took)
        condition = told(condition, Event.NOTHING, begun + 500)
    assert list(condition.spans) == [10, 50, 40]
    assert wake_seconds(condition, 60) == 40
    # One that came to nothing is none.
    condition = told(told(told(condition, Event.CALLED, 4000), Event.CRASHING, 4010), Event.ANSWERED, 4500)
    # Nor is one of which only a worker that rests is seen.
    condition = told(told(told(condition, Event.NOTHING, 4600), Event.CALLED, 4600), Event.RESTING, 4700)
    assert list(condition.spans) == [10, 50, 40]
    for begun in range(5000, 5000 + 100 * SPANS_MAX, 100):
        condition = told(told(told(condition, Event.NOTHING, begun), Event.CALLED, begun), Event.ANSWERED, begun + 7)
    assert list(condition.spans) == [7] * SPANS_MAX


@pytest.mark.parametrize(
    ("sample", "balanced", "requests", "room"),
    [
        (None, False, 99, 10),
        (Sample(), False, 0, 10),
        (Sample(), False, 5, 11),
        (Sample(ready=1, running=1, in_progress=4), False, 10, 10),
        (Sample(ready=1, running=1, in_progress=4), False, 11, 11),
        (Sample(ready=2, running=1, in_progress=10), False, 20, 10),
        (Sample(ready=1, initializing=1, running=1, in_progress=10), False, 20, 10),
        (Sample(ready=2, running=1, in_progress=10), False, 21, 11),
        (Sample(ready=3, running=2, in_progress=20), False, 99, 20),
        (Sample(ready=3, running=3, in_progress=30), False, 99, 30),
        (Sample(ready=3, running=3, in_progress=1), False, 99, 10),
        (Sample(ready=9, running=9, in_progress=90), False, 99, 30),
        (Sample(ready=2, running=2), True, 99, 20),
        (Sample(ready=9), True, 99, 30),
        (Sample(), True, 99, 10),
    ],
)
def test_as_many_requests_as_workers_are_known_to_work_have_room(
    sample: Sample | None, balanced: bool, requests: int, room: int
) -> None:
    """Where more workers are needed than there are, one request waits at Runpod: that starts another."""
    assert capacity(sample, balanced=balanced, workers_max=3, slots=10, requests=requests) == room


@pytest.mark.parametrize(("requests", "workers"), [(0, 0), (1, 1), (10, 1), (11, 2), (31, 3), (999, 3)])
def test_so_many_workers_take_so_many_requests(requests: int, workers: int) -> None:
    assert workers_needed(requests, workers_max=3, slots=10) == workers


COUNTS = st.integers(min_value=0, max_value=2)
SAMPLES = st.builds(
    Sample,
    idle=COUNTS,
    initializing=COUNTS,
    ready=COUNTS,
    running=COUNTS,
    throttled=COUNTS,
    unhealthy=COUNTS,
    in_queue=COUNTS,
    in_progress=COUNTS,
)
STEPS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([Event.ANSWERED, Event.CALLED, Event.ASLEEP]), SAMPLES, st.none()),
        st.integers(min_value=0, max_value=100),
        st.booleans(),
    ),
    max_size=40,
)


@given(steps=STEPS, balanced=st.booleans())
def test_whatever_happens_bad_news_and_wakes_come_to_an_end(
    steps: list[tuple[Event | Sample | None, int, bool]], balanced: bool
) -> None:
    """Times never go back, spans are never negative, and with nothing but time it is cold, waking or unknown."""
    condition, now = Condition(), 0.0
    for what, wait, asked in steps:
        now += wait
        before = condition
        if what is None:
            condition = passed(condition, now, patience=PATIENCE)
        elif isinstance(what, Sample):
            condition = heard(condition, what, at=now, balanced=balanced, asked=asked, patience=PATIENCE)
        else:
            condition = told(condition, what, now)
        assert (condition.since == before.since) is (condition.state is before.state) or wait == 0
        assert 0 <= condition.since <= now
        assert all(span >= 0 for span in condition.spans)
        if condition.state in {State.UNKNOWN, State.COLD, State.WARM, State.CRASH_LOOPING, State.PAUSED}:
            assert condition.waking_since is None
        if condition.state is State.WAKING:
            assert condition.waking_since is not None
    later = passed(condition, now + 1000, patience=PATIENCE)
    assert later.state in {State.UNKNOWN, State.COLD, State.WAKING}
    assert told(later, Event.ANSWERED, now + 1000).state is State.WARM
