"""How awake an endpoint is, as transports, the poll and the gate see it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.warmth import RETRY_AFTER_SECONDS_MAX, Warmth
from tests.doubles.clock import ManualClock
from tiers.tiermap import Workers
from tiers.warmth import Sample, State

TIMES = RunpodTimes()
BUSY = Sample(ready=1, running=1, in_progress=1)


class Bed:
    """An endpoint's warmth, and what it told."""

    def __init__(self, *, balanced: bool = False) -> None:
        self.clock = ManualClock()
        self.told: list[dict[str, object]] = []
        self.changes = 0
        self.warmth = Warmth(
            base="https://api.runpod.test/v2/e1",
            workers=Workers(max=3, slots=10),
            clock=self.clock,
            balanced=balanced,
            report=self.report,
        )
        self.warmth.names = ["routing/0", "adapter/0"]
        self.warmth.listen(self.changed)

    def report(self, event: str, /, **keys: object) -> None:
        """See ``Report``."""
        self.told.append({"event": event, **keys})

    def changed(self) -> None:
        """Counts changes."""
        self.changes += 1

    def state(self) -> State:
        """Its state now: a type checker does not know that time changes it."""
        return self.warmth.state

    def proven(self) -> bool:
        """Whether a worker has worked lately."""
        return self.warmth.proven

    def doubted(self) -> bool:
        """Whether it wants a look."""
        return self.warmth.doubted


def test_a_call_wakes_it_and_an_answer_says_that_it_is_awake() -> None:
    """Those who listen hear each change; the log has them, with the names of the tier map."""
    bed = Bed()
    assert (bed.state(), bed.warmth.ready) == (State.UNKNOWN, False)
    bed.warmth.called()
    bed.warmth.called()
    assert (bed.state(), bed.warmth.ready, bed.changes, bed.warmth.wakes) == (State.WAKING, False, 1, 1)
    bed.clock.advance(42)
    bed.warmth.answered()
    assert (bed.state(), bed.warmth.ready, bed.changes) == (State.WARM, True, 2)
    assert bed.warmth.since == bed.clock.monotonic()
    assert (bed.warmth.woken, list(bed.warmth.woken_seconds), bed.warmth.wake_seconds()) == (1, [42], 42)
    bed.warmth.asleep()
    assert (bed.state(), bed.warmth.ready, bed.changes) == (State.COLD, False, 3)
    names = ["routing/0", "adapter/0"]
    assert bed.told == [
        {"event": "endpoint.warmth", "endpoints": names, "state": "waking", "before": "unknown", "seconds": 0.0},
        {"event": "endpoint.warmth", "endpoints": names, "state": "warm", "before": "waking", "seconds": 42.0},
        {"event": "endpoint.warmth", "endpoints": names, "state": "cold", "before": "warm", "seconds": 0.0},
    ]
    bed.warmth.unlisten(bed.changed)
    bed.warmth.answered()
    assert bed.changes == 3


def test_an_answer_on_the_good_path_tells_nobody_anything() -> None:
    """It counts all the same: an endpoint that answers is awake, whatever is heard of it or not."""
    bed = Bed()
    bed.warmth.answered()
    changes = bed.changes
    bed.clock.advance(TIMES.believed - 1)
    bed.warmth.answered()
    assert bed.changes == changes
    bed.clock.advance(TIMES.doze - 1)
    assert bed.proven()
    bed.clock.advance(1)
    assert not bed.proven()
    bed.warmth.look()
    assert bed.state() is State.WARM
    bed.clock.advance(TIMES.believed - TIMES.doze)
    bed.warmth.look()
    assert bed.state() is State.COLD


def test_a_wake_that_others_began_is_not_counted_as_ones_own() -> None:
    """What a whole gateway counts is the sum over its processes."""
    bed = Bed()
    bed.warmth.heard(Sample(in_queue=1))
    bed.clock.advance(10)
    bed.warmth.heard(BUSY)
    assert bed.state() is State.WARM
    assert (bed.warmth.wakes, bed.warmth.woken) == (0, 0)
    assert bed.warmth.wake_seconds() == 10


def test_samples_change_state_and_room_and_older_ones_do_not_count() -> None:
    """Those who wait hear that there is more room."""
    bed = Bed()
    bed.warmth.heard(BUSY)
    assert (bed.warmth.capacity(), bed.changes) == (10, 1)
    bed.warmth.waiting, bed.warmth.under_way, bed.warmth.waiting_elsewhere = 3, 4, 4
    assert bed.warmth.capacity() == 11
    bed.clock.advance(1)
    bed.warmth.failed()
    assert bed.doubted()
    bed.warmth.heard(Sample(ready=3, running=3, in_progress=30))
    assert (bed.warmth.capacity(), bed.changes) == (30, 2)
    assert not bed.doubted()
    bed.warmth.heard(Sample(), at=bed.clock.monotonic() - 0.5)
    assert bed.warmth.proved_at == bed.clock.monotonic()
    assert bed.warmth.sample == Sample(ready=3, running=3, in_progress=30)


def test_another_process_may_have_seen_a_worker_at_work() -> None:
    """Unless this one knows of something later."""
    bed = Bed()
    begun = bed.clock.monotonic()
    bed.clock.advance(10)
    bed.warmth.worked(begun + 5)
    assert bed.state() is State.WARM
    bed.clock.advance(10)
    bed.warmth.heard(Sample())
    bed.warmth.worked(begun + 15)
    assert bed.state() is State.COLD
    bed.clock.advance(1)
    bed.warmth.worked(begun + 21)
    assert bed.state() is State.WARM


def test_a_load_balancer_has_no_queue_so_those_under_way_say_that_somebody_waits() -> None:
    """A worker that passes its health check is a proof."""
    bed = Bed(balanced=True)
    bed.warmth.under_way = 1
    bed.warmth.heard(Sample())
    assert bed.state() is State.WAKING
    bed.warmth.heard(Sample(ready=2, running=2))
    assert (bed.state(), bed.warmth.capacity()) == (State.WARM, 20)
    bed.clock.advance(TIMES.health_unused)
    bed.warmth.look()
    assert bed.state() is State.WARM


def test_what_may_be_hoped_for_follows_from_the_wakes_that_were_seen() -> None:
    """And from how long this one has lasted; an overdue one is expected soon, and never at once."""
    bed = Bed()
    outlook = bed.warmth.outlook()
    assert (outlook.seconds, outlook.hopeless, outlook.uncertain, outlook.reason) == (60, False, False, "")
    bed.warmth.called()
    bed.clock.advance(40)
    assert (bed.warmth.outlook().seconds, bed.warmth.retry_after()) == (20, 20)
    bed.clock.advance(500)
    assert bed.warmth.outlook().seconds == 6
    bed.warmth.answered()
    assert (bed.warmth.outlook().seconds, bed.warmth.retry_after()) == (0, 1)
    bed.warmth.asleep()
    assert (bed.warmth.outlook().seconds, bed.warmth.retry_after()) == (540, RETRY_AFTER_SECONDS_MAX)


@pytest.mark.parametrize(
    ("sample", "hopeless", "uncertain", "words"),
    [
        (Sample(throttled=1, in_queue=1), False, True, "no free GPU"),
        (Sample(unhealthy=1, in_queue=1), True, False, "its workers end"),
    ],
)
def test_where_waiting_is_in_vain_it_says_why(sample: Sample, hopeless: bool, uncertain: bool, words: str) -> None:
    bed = Bed()
    bed.warmth.heard(sample)
    outlook = bed.warmth.outlook()
    assert (outlook.hopeless, outlook.uncertain) == (hopeless, uncertain)
    assert words in outlook.reason


def test_a_paused_endpoint_is_worth_another_try_after_a_while() -> None:
    """That is when to come again."""
    bed = Bed()
    bed.warmth.heard(Sample(in_queue=1))
    bed.clock.advance(TIMES.stuck)
    bed.warmth.heard(Sample(in_queue=1))
    assert bed.state() is State.PAUSED
    assert (bed.warmth.outlook().hopeless, bed.warmth.retry_after()) == (True, TIMES.believed)
    bed.clock.advance(TIMES.believed)
    assert bed.warmth.retry_after() == 1
    bed.warmth.look()
    assert bed.state() is State.COLD


def test_those_who_wait_elsewhere_need_workers_too() -> None:
    """So that all processes together wake as many as they need, and no more."""
    bed = Bed()
    assert [bed.warmth.needed(count) for count in (1, 10, 11, 99)] == [1, 1, 2, 3]
    bed.warmth.waiting_elsewhere = 10
    assert [bed.warmth.needed(count) for count in (1, 10, 11, 99)] == [2, 2, 3, 3]


COUNTS = st.integers(min_value=0, max_value=2)
SAMPLES = st.builds(
    Sample, idle=COUNTS, initializing=COUNTS, ready=COUNTS, running=COUNTS, throttled=COUNTS, unhealthy=COUNTS,
    in_queue=COUNTS, in_progress=COUNTS,
)  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(["called", "answered", "asleep", "failed", "look"]), SAMPLES), max_size=30))
def test_it_is_ready_exactly_while_it_is_warm(events: list[str | Sample]) -> None:
    """Whatever happens, in whatever order; there is always room for somebody, and a time to come again."""
    bed = Bed()
    for event in events:
        bed.clock.advance(7)
        if isinstance(event, Sample):
            bed.warmth.heard(event)
        else:
            getattr(bed.warmth, event)()
        assert bed.warmth.ready is (bed.warmth.state is State.WARM)
        assert bed.warmth.capacity() >= 1
        assert 1 <= bed.warmth.retry_after() <= RETRY_AFTER_SECONDS_MAX
        assert bed.warmth.outlook().seconds >= 0
