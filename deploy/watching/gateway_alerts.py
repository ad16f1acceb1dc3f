"""Alerts on the gateway itself and on its store."""

from typing import Final

from deploy.watching.alert import Alert
from deploy.watching.promql import buckets, counted, percentile, ratio

FAILED_MAX: Final = 0.05
"""The part of a tier's requests that may fail for want of a good answer."""
FAILED_MIN: Final = 5
QUEUE_SECONDS_MAX: Final = 5
OVERHEAD_SECONDS_MAX: Final = 0.1
PING_SECONDS_MAX: Final = 0.02


def gateway_alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (*_requests(), *_itself(), *_tier_map(), *_store())


def _requests() -> tuple[Alert, ...]:
    failed = counted('tiergate_requests_total{outcome=~"upstream_error|timeout"}', "tier", "10m")
    every = counted("tiergate_requests_total", "tier", "10m")
    waited = percentile(90, buckets("tiergate_queue_delay_seconds", "tier", "10m"))
    refused = counted('tiergate_refusals_total{code="tier_saturated"}', "tier", "10m")
    return (
        Alert(
            name="TiergateRequestsFail",
            expr=f"{ratio(failed, every)} > {FAILED_MAX} and {failed} >= {FAILED_MIN}",
            lasts="5m",
            severity="page",
            layer="gateway",
            summary="{{ $value | humanizePercentage }} of requests to tier {{ $labels.tier }} end without an answer",
            advice="Look at which endpoint fails, and how: its breaker, its workers, the error codes.",
        ),
        Alert(
            name="TiergateTierFull",
            expr=f"{waited} > {QUEUE_SECONDS_MAX} or {refused} > 0",
            lasts="10m",
            severity="ticket",
            layer="gateway",
            summary="Tier {{ $labels.tier }} is full: requests wait for a slot, or are refused",
            advice="Where its workers have room, give the tier more slots; else more workers, then more slots.",
        ),
    )


def _itself() -> tuple[Alert, ...]:
    added = percentile(98, buckets("tiergate_overhead_seconds", "instance", "10m"))
    return (
        Alert(
            name="TiergateGatewayDown",
            expr="absent(tiergate_build_info)",
            lasts="2m",
            severity="page",
            layer="gateway",
            summary="No gateway can be scraped",
            advice="See whether the gateway runs (GET /healthz) and whether Prometheus may reach it.",
        ),
        Alert(
            name="TiergateGatewaySlow",
            expr=f"{added} > {OVERHEAD_SECONDS_MAX}",
            lasts="10m",
            severity="ticket",
            layer="gateway",
            summary="The gateway at {{ $labels.instance }} adds up to {{ $value | humanizeDuration }} to a request",
            advice="Look at the store's answer time first, then at the machine's CPU: give it more processes.",
        ),
    )


def _tier_map() -> tuple[Alert, ...]:
    return (
        Alert(
            name="TiergateTierMapRejected",
            expr="min by (instance) (tiergate_tier_map_last_reload_successful) == 0",
            lasts="1m",
            severity="ticket",
            layer="gateway",
            summary="The gateway at {{ $labels.instance }} goes on with an old tier map: it cannot serve the new one",
            advice="The log says why (tier_map.rejected); check the file with tiergate-gateway check.",
        ),
        Alert(
            name="TiergateTierMapsDiffer",
            expr="count(count by (hash) (tiergate_tier_map_info)) > 1",
            lasts="15m",
            severity="ticket",
            layer="gateway",
            summary="The gateways serve {{ $value }} different tier maps",
            advice="Find who did not get the change (GET /readyz tells each one's hash), and have it read the file.",
        ),
    )


def _store() -> tuple[Alert, ...]:
    return (
        Alert(
            name="TiergateStoreDown",
            expr="min by (instance) (tiergate_store_up) == 0",
            lasts="1m",
            severity="page",
            layer="store",
            summary="The store does not answer the gateway at {{ $labels.instance }}: no request is admitted",
            advice="Bring Valkey or Redis back; nothing is lost, settlements wait in the journal.",
        ),
        Alert(
            name="TiergateStoreSlow",
            expr=f"max by (instance) (avg_over_time(tiergate_store_ping_seconds[5m])) > {PING_SECONDS_MAX}",
            lasts="5m",
            severity="ticket",
            layer="store",
            summary="The store takes {{ $value | humanizeDuration }} to answer the gateway at {{ $labels.instance }}",
            advice="Put it nearer to the gateway, or on a machine of its own; every request waits for it.",
        ),
        Alert(
            name="TiergateSettlementsWait",
            expr="sum by (instance) (min_over_time(tiergate_settlements_waiting[5m])) > 0",
            lasts="5m",
            severity="ticket",
            layer="store",
            summary="{{ $value }} settlements of the gateway at {{ $labels.instance }} are not booked yet",
            advice="The store is away or refuses to write: see its memory and its disk.",
        ),
    )
