"""Alerts on Runpod's endpoints: the GPU layer."""

from typing import Final

from deploy.watching.alert import Alert, Severity
from deploy.watching.recordings import GPU_DELAY
from deploy.watching.rising import rising

DELAY_SECONDS_MIN: Final = 5
"""A delay below that is nobody's trouble, however fast it rises."""
WAKES_MAX: Final = 4
"""In half an hour: more often, and workers start for a few requests each."""
CRASHING_MAX: Final = 0.3
"""The part of ten minutes: between two crashes a worker loads, and the endpoint counts as cold or warm meanwhile."""
THROTTLED_MAX: Final = 0.5
PAUSED_MAX: Final = 0.1
"""That somebody waited in vain is believed for a minute and a half; then the next request has to find out anew."""
_WHERE: Final = "{{ $labels.endpoint }} of tier {{ $labels.tier }}"


def gpu_alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (_delay(), _cold_starts(), *_breakers(), *_workers(), *_idle())


def _delay() -> Alert:
    return Alert(
        name="TiergateGpuDelayRising",
        expr=rising(GPU_DELAY, seconds_min=DELAY_SECONDS_MIN),
        lasts="10m",
        severity="ticket",
        layer="gpu",
        summary=f"Delay time rises at {_WHERE}: nine in ten wait for up to {{{{ $value | humanizeDuration }}}}",
        advice="Too few workers: raise the endpoint's workers.max. Where its workers are throttled, give it more GPU "
        "pools or data centers instead.",
    )


def _cold_starts() -> Alert:
    return Alert(
        name="TiergateColdStartStorm",
        expr=f"sum by (tier, endpoint) (increase(tiergate_endpoint_wakes_total[30m])) >= {WAKES_MAX}",
        lasts="5m",
        severity="ticket",
        layer="gpu",
        summary=f"{_WHERE} was woken {{{{ $value | humanize }}}} times in half an hour",
        advice="Raise the endpoint's idle timeout, or keep one worker (workers.min: 1): idle seconds between requests "
        "cost less than as many cold starts.",
    )


def _breakers() -> tuple[Alert, ...]:
    return (
        Alert(
            name="TiergateBreakerOpen",
            expr='sum by (tier, endpoint) (max_over_time(tiergate_endpoint_state{state="open"}[5m])) > 0',
            lasts="5m",
            severity="ticket",
            layer="gpu",
            summary=f"{_WHERE} is left alone: its requests fail",
            advice="Look at its last error in the gateway's log (endpoint.opened), then at its workers.",
        ),
        Alert(
            name="TiergateTierDown",
            expr='sum by (tier) (max_over_time(tiergate_endpoint_state{state="closed"}[1m])) == 0',
            lasts="1m",
            severity="page",
            layer="gpu",
            summary="Tier {{ $labels.tier }} serves nothing by itself: every endpoint of it is left alone",
            advice="Mend one of its endpoints, or give the tier a fallback.",
        ),
    )


def _workers() -> tuple[Alert, ...]:
    return (
        Alert(
            name="TiergateCrashLoop",
            expr=f"{_part('crash-looping')} > {CRASHING_MAX} or max by (tier, endpoint) "
            f'(avg_over_time(tiergate_endpoint_workers{{state="unhealthy"}}[10m])) > {CRASHING_MAX}',
            lasts="2m",
            severity="page",
            layer="gpu",
            summary=f"Workers of {_WHERE} crash again and again",
            advice="Set workers.max to 0 so that it costs nothing, and read a worker's log: mostly it is the model's "
            "name, too little memory, or a CUDA version that the host does not have.",
        ),
        Alert(
            name="TiergateNoCapacity",
            expr=f"{_part('throttled')} > {THROTTLED_MAX}",
            lasts="2m",
            severity="page",
            layer="gpu",
            summary=f"Runpod has no free GPU for {_WHERE}",
            advice="Give the endpoint more GPU pools or data centers; until then the tier's fallback serves.",
        ),
        Alert(
            name="TiergateNothingWakes",
            expr="sum by (tier, endpoint) (min_over_time(tiergate_endpoint_held_calls[5m])) > 0",
            lasts="10m",
            severity="page",
            layer="gpu",
            summary=f"{{{{ $value }}}} calls wait for a worker of {_WHERE}, and none comes",
            advice="See whether its workers are throttled, crash or are not started at all: a spent balance, "
            "the account's quota of workers, workers.max 0.",
        ),
        Alert(
            name="TiergateEndpointPaused",
            expr=f"{_part('paused')} > {PAUSED_MAX}",
            lasts="1m",
            severity="page",
            layer="gpu",
            summary=f"No worker of {_WHERE} is even started: it is paused",
            advice="Raise workers.max by hand (Runpod sets it to 0 after 7 days without a request), or the account's "
            "balance or spending limit.",
        ),
    )


def _part(state: str) -> str:
    """For which part of ten minutes the endpoint was in a state, over all processes."""
    series = "tiergate_endpoint_warmth_state"
    own = f'sum by (tier, endpoint) (avg_over_time({series}{{state="{state}"}}[10m]))'
    return f"{own} / sum by (tier, endpoint) (avg_over_time({series}[10m]))"


def _idle() -> tuple[Alert, ...]:
    return (
        _unused("TiergateEndpointUnused", "60h", "ticket", "Runpod cuts workers.max to 2 after 3 days"),
        _unused("TiergateEndpointPausesSoon", "6d", "page", "Runpod sets workers.max to 0 after 7 days"),
    )


def _unused(name: str, over: str, severity: Severity, rule: str) -> Alert:
    """Known for ``over``, and in all that time without a request through any gateway."""
    by, requests = "tier, endpoint", "tiergate_runpod_requests_total"
    known = f"sum by ({by}) (tiergate_endpoint_warmth_state offset {over})"
    now = f'sum by ({by}) (tiergate_endpoint_warmth_state{{state!="paused"}}) > 0'
    # A counter's series begins with its first request, so that its growth does not show that one.
    begun = f"(sum by ({by}) (count_over_time({requests}[{over}])) unless sum by ({by}) ({requests} offset {over}))"
    used = f"(sum by ({by}) (changes({requests}[{over}])) > 0 or {begun})"
    return Alert(
        name=name,
        expr=f"({known} and {now}) unless on ({by}) {used}",
        lasts="10m",
        severity=severity,
        layer="gpu",
        summary=f"{_WHERE} had no request for {over}: {rule}",
        advice="Send it one request, which starts a worker and its clock anew, or take the endpoint down for good.",
    )
