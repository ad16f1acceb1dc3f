"""What is told of Runpod's endpoints, as Prometheus works it out."""

from pathlib import Path

from deploy.watching.gpu_alerts import gpu_alerts
from tests.deploy.watching.promtool import Case, check, covered, needs_promtool

WHERE = {"tier": "t", "endpoint": "e"}
LABELS = 'tier="t", endpoint="e"'
DELAY = f'tiergate_runpod_worker_delay_seconds_bucket{{{{{LABELS}, le="{{}}"}}}}'
HELD = f'tiergate_runpod_held_seconds_bucket{{{{{LABELS}, le="{{}}"}}}}'
WAKES = f"tiergate_endpoint_wakes_total{{{LABELS}}}"
REQUESTS = f'tiergate_runpod_requests_total{{{LABELS}, way="job", cold="true"}}'
UNHEALTHY = f'tiergate_endpoint_workers{{{LABELS}, state="unhealthy"}}'
HELD_CALLS = f"tiergate_endpoint_held_calls{{{LABELS}}}"


def breaker(state: str) -> str:
    """The series of one state of the endpoint's circuit breaker."""
    return f'tiergate_endpoint_state{{{LABELS}, state="{state}"}}'


def warmth(state: str) -> str:
    """The series of one state of the endpoint's workers."""
    return f'tiergate_endpoint_warmth_state{{{LABELS}, state="{state}"}}'


def waits(histogram: str, short: str, long: str) -> dict[str, str]:
    """Waits below a second and waits of 30 to 60 seconds, by minute."""
    every = {"1.0": short, "30.0": short, "60.0": long, "+Inf": long}
    return {histogram.format(bound): values for bound, values in every.items()}


DELAYS = [
    Case(
        promise="jobs wait for a minute since half an hour; before they waited for a second",
        alert="TiergateGpuDelayRising",
        series=waits(DELAY, "0+2x120 240+0x40", "0+2x160"),
        after="150m",
        fires=WHERE,
    ),
    Case(
        promise="calls are held for long, and no job says anything",
        alert="TiergateGpuDelayRising",
        series=waits(HELD, "0+2x120 240+0x40", "0+2x160"),
        after="150m",
        fires=WHERE,
    ),
    Case(
        promise="jobs have always waited for a minute",
        alert="TiergateGpuDelayRising",
        series=waits(DELAY, "0+0x160", "0+2x160"),
        after="150m",
        fires=None,
    ),
    Case(
        promise="one cold start in an hour",
        alert="TiergateGpuDelayRising",
        series=waits(DELAY, "0+0x160", "0+0x130 1+0x30"),
        after="144m",
        fires=None,
    ),
    Case(promise="woken every five minutes", alert="TiergateColdStartStorm", series={WAKES: "0+0.2x60"}, after="50m",
         fires=WHERE),
    Case(promise="woken once in an hour", alert="TiergateColdStartStorm", series={WAKES: "0+0x20 1+0x60"}, after="50m",
         fires=None),
]  # fmt: skip
STATES = [
    Case(
        promise="open, tried, and open again",
        alert="TiergateBreakerOpen",
        series={breaker("open"): "0 1 1 0 1 1 0 1 1 0 1 1"},
        after="11m",
        fires=WHERE,
    ),
    Case(
        promise="open for a moment",
        alert="TiergateBreakerOpen",
        series={breaker("open"): "0 1 0+0x30"},
        after="11m",
        fires=None,
    ),
    Case(
        promise="the tier's only endpoint is left alone, and tried now and then",
        alert="TiergateTierDown",
        series={breaker("closed"): "1 0+0x9", breaker("half-open"): "0 0 1 0 1 0 1 0 1 0"},
        after="6m",
        fires={"tier": "t"},
    ),
    Case(
        promise="another endpoint of the tier serves",
        alert="TiergateTierDown",
        series={breaker("closed"): "0+0x9", breaker("closed").replace('"e"', '"f"'): "1+0x9"},
        after="6m",
        fires=None,
    ),
    Case(
        promise="the gateway says that its workers crash, and between two crashes that it is cold or warm",
        alert="TiergateCrashLoop",
        series={warmth("crash-looping"): "0 1 0 0 1 0 1 1 0 0 1 1 1", warmth("cold"): "1 0 1 1 0 1 0 0 1 1 0 0 0"},
        after="12m",
        fires=WHERE,
    ),
    Case(
        promise="Runpod says that a worker is unhealthy, and says so still",
        alert="TiergateCrashLoop",
        series={UNHEALTHY: "1+0x30"},
        after="15m",
        fires=WHERE,
    ),
    Case(
        promise="one worker crashed and is well again",
        alert="TiergateCrashLoop",
        series={
            UNHEALTHY: "0+0x5 1 1 0+0x30",
            warmth("crash-looping"): "0+0x5 1 0+0x30",
            warmth("warm"): "1+0x5 0 1+0x30",
        },
        after="10m",
        fires=None,
    ),
    Case(
        promise="throttled for long",
        alert="TiergateNoCapacity",
        series={warmth("throttled"): "0 1+0x30", warmth("cold"): "1 0+0x30"},
        after="10m",
        fires=WHERE,
    ),
    Case(
        promise="throttled for two minutes",
        alert="TiergateNoCapacity",
        series={warmth("throttled"): "0+0x9 1 1 0+0x30", warmth("warm"): "1+0x9 0 0 1+0x30"},
        after="13m",
        fires=None,
    ),
    Case(
        promise="calls wait for twenty minutes",
        alert="TiergateNothingWakes",
        series={HELD_CALLS: "0 3+0x30"},
        after="20m",
        fires=WHERE,
    ),
    Case(
        promise="a cold start of six minutes, and another one",
        alert="TiergateNothingWakes",
        series={HELD_CALLS: "0 3+0x5 0 2+0x5 0 1"},
        after="14m",
        fires=None,
    ),
    Case(
        promise="workers.max is 0, and requests wait in vain now and then",
        alert="TiergateEndpointPaused",
        series={warmth("paused"): "0+0x9 1 1 0+0x9", warmth("cold"): "1+0x9 0 0 1+0x9"},
        after="14m",
        fires=WHERE,
    ),
    Case(
        promise="nothing is paused",
        alert="TiergateEndpointPaused",
        series={warmth("paused"): "0+0x9", warmth("warm"): "1+0x9"},
        after="4m",
        fires=None,
    ),
]
DAYS = [
    Case(
        promise="no request since the gateway is there",
        alert="TiergateEndpointUnused",
        series={warmth("cold"): "1+0x200"},
        after="62h",
        fires=WHERE,
        every="1h",
    ),
    Case(
        promise="the last request was 70 hours ago",
        alert="TiergateEndpointUnused",
        series={warmth("cold"): "1+0x200", REQUESTS: "5 9+0x200"},
        after="71h",
        fires=WHERE,
        every="1h",
    ),
    Case(
        promise="the very first request was yesterday",
        alert="TiergateEndpointUnused",
        series={warmth("cold"): "1+0x200", REQUESTS: "_x40 1+0x200"},
        after="71h",
        fires=None,
        every="1h",
    ),
    Case(
        promise="a request a day",
        alert="TiergateEndpointUnused",
        series={warmth("cold"): "1+0x200", REQUESTS: "1+0x23 2+0x23 3+0x23 4+0x100"},
        after="80h",
        fires=None,
        every="1h",
    ),
    Case(
        promise="there was a request yesterday, and then the gateway was started anew",
        alert="TiergateEndpointUnused",
        series={warmth("cold"): "1+0x200", REQUESTS: "_x40 1 1 stale"},
        after="71h",
        fires=None,
        every="1h",
    ),
    Case(
        promise="known since yesterday",
        alert="TiergateEndpointUnused",
        series={warmth("cold"): "_x50 1+0x100"},
        after="71h",
        fires=None,
        every="1h",
    ),
    Case(
        promise="Runpod has paused it already",
        alert="TiergateEndpointPausesSoon",
        series={warmth("cold"): "1+0x150 0+0x50", warmth("paused"): "0+0x150 1+0x50"},
        after="170h",
        fires=None,
        every="1h",
    ),
    Case(
        promise="no request for six days",
        alert="TiergateEndpointPausesSoon",
        series={warmth("cold"): "1+0x200", REQUESTS: "5+0x200"},
        after="147h",
        fires=WHERE,
        every="1h",
    ),
]


@needs_promtool
def test_each_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    check([*DELAYS, *STATES, *DAYS], tmp_path)


def test_each_is_shown_firing_and_silent() -> None:
    assert covered([*DELAYS, *STATES, *DAYS]) == {alert.name: {True, False} for alert in gpu_alerts()}
