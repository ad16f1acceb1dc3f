"""One ``Warmth`` for each Runpod endpoint."""

import gc
from weakref import ref

from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.warmths import Warmths
from tests.doubles.clock import ManualClock
from tiers.tiermap import Endpoint, Workers

QUEUE = Endpoint(name="a/0", url="https://api.runpod.ai/v2/abc", transport="runpod-queue")


def test_all_tiers_that_call_an_endpoint_share_what_is_known_of_it() -> None:
    """By its address; it knows all of its names."""
    warmths = Warmths(ManualClock())
    first = warmths.of(QUEUE)
    again = warmths.of(Endpoint(name="b/0", url=QUEUE.url, transport="runpod-queue", workers=Workers(max=7)))
    assert first is not None
    assert again is first
    assert (first.base, first.names, first.workers.max, first.balanced) == (QUEUE.url, ["a/0", "b/0"], 7, False)
    assert warmths.of(QUEUE) is first
    assert first.names == ["a/0", "b/0"]


def test_a_load_balancer_is_known_by_where_its_health_is() -> None:
    warmth = Warmths(ManualClock()).of(
        Endpoint(name="a/0", url="https://xyz.api.runpod.ai/v1", transport="runpod-load-balancer")
    )
    assert warmth is not None
    assert (warmth.base, warmth.balanced) == ("https://api.runpod.ai/v2/xyz", True)


def test_what_is_not_runpods_never_sleeps() -> None:
    assert Warmths(ManualClock()).of(Endpoint(name="a/0", url="http://127.0.0.1:9100/v1")) is None


def test_what_nobody_calls_any_more_is_forgotten() -> None:
    """An endpoint that comes back after a while may have changed."""
    warmths = Warmths(ManualClock(), times=RunpodTimes().faster(10))
    warmth = warmths.of(QUEUE)
    assert warmth is not None
    assert warmth.wake_seconds() == 6
    warmth.answered()
    gone = ref(warmth)
    del warmth
    gc.collect()
    assert gone() is None
    fresh = warmths.of(QUEUE)
    assert fresh is not None
    assert not fresh.ready
