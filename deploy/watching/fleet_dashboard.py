"""The dashboard of the whole fleet: is anything wrong, and where."""

from deploy.watching.dashboard import Dashboard, Row
from deploy.watching.layer_panels import gpu_panels
from deploy.watching.panel import Panel, Query


def fleet_dashboard() -> Dashboard:
    """Every tier, endpoint and gateway at once."""
    return Dashboard(
        name="fleet",
        title="fleet",
        about="Every tier, endpoint and gateway at once: is anything wrong, and where.",
        rows=[
            Row(title="Now", panels=_now()),
            Row(title="Requests", panels=_requests()),
            Row(title="Runpod's endpoints", panels=[*gpu_panels(), *_workers()]),
            Row(title="Gateways and store", panels=_gateways()),
        ],
    )


def _now() -> list[Panel]:
    firing = 'ALERTS{alertname=~"Tiergate.*", alertstate="firing"}'
    failed = 'sum(rate(tiergate_requests_total{outcome=~"upstream_error|timeout"}[5m]))'
    return [
        Panel(title="Alerts", queries=[Query(expr=firing)], about="What fires now", kind="table", height=6),
        Panel(
            title="Failing",
            queries=[Query(expr=f"{failed} / (sum(rate(tiergate_requests_total[5m])) > 0)")],
            about="The part of requests that end without a good answer",
            unit="percentunit",
            kind="stat",
            width=4,
            height=6,
            red=0.05,
        ),
        Panel(
            title="Endpoints left alone",
            queries=[
                Query(expr='count(sum by (tier, endpoint) (tiergate_endpoint_state{state="open"}) > 0) or vector(0)')
            ],
            about="Endpoints whose circuit breaker is open in a process",
            kind="stat",
            width=4,
            height=6,
            red=1,
        ),
        Panel(
            title="Store",
            queries=[Query(expr="min(tiergate_store_up)")],
            about="1 where it answered every gateway's last scrape",
            kind="stat",
            width=4,
            height=6,
        ),
    ]


def _requests() -> list[Panel]:
    return [
        Panel(
            title="Requests",
            queries=[Query(expr="sum by (outcome) (rate(tiergate_requests_total[5m]))", legend="{{outcome}}")],
            about="By how they ended",
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Requests by tier",
            queries=[Query(expr="sum by (tier) (rate(tiergate_requests_total[5m]))", legend="{{tier}}")],
            about="Where they went",
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Another attempt or tier",
            queries=[
                Query(
                    expr='sum by (tier, reason) (rate(tiergate_requests_total{reason=~"retry|fallback|spill-over|'
                    'escalation|downgrade|continuation"}[5m]))',
                    legend="{{tier}} {{reason}}",
                )
            ],
            about="Requests that did not simply go where they should, and why",
            unit="reqps",
        ),
        Panel(
            title="Refused",
            queries=[Query(expr="sum by (code) (rate(tiergate_refusals_total[5m]))", legend="{{code}}")],
            about="Requests of which nothing was sent to an endpoint",
            unit="reqps",
        ),
    ]


def _workers() -> list[Panel]:
    return [
        Panel(
            title="Worker states",
            queries=[
                Query(
                    expr="max by (tier, endpoint, state) (tiergate_endpoint_workers) > 0",
                    legend="{{endpoint}} {{state}}",
                )
            ],
            about="Workers by condition, as Runpod's health address said last; conditions overlap",
        ),
        Panel(
            title="Jobs",
            queries=[
                Query(expr="max by (tier, endpoint, state) (tiergate_endpoint_jobs)", legend="{{endpoint}} {{state}}")
            ],
            about="Jobs in Runpod's queues and at work",
        ),
        Panel(
            title="Warmth",
            queries=[
                Query(
                    expr="sum by (tier, endpoint, state) (tiergate_endpoint_warmth_state) > 0",
                    legend="{{endpoint}} {{state}}",
                )
            ],
            about="How awake endpoints are, by how many gateway processes see it so",
        ),
        Panel(
            title="Calls held",
            queries=[Query(expr="sum by (tier, endpoint) (tiergate_endpoint_held_calls)", legend="{{endpoint}}")],
            about="Calls that wait for a worker to wake",
        ),
    ]


def _gateways() -> list[Panel]:
    overhead = "sum by (instance, le) (rate(tiergate_overhead_seconds_bucket[5m]))"
    return [
        Panel(
            title="What the gateway adds",
            queries=[
                Query(expr=f"histogram_quantile({quantile}, {overhead})", legend=f"P{percent} {{{{instance}}}}")
                for percent, quantile in ((70, 0.7), (90, 0.9), (98, 0.98))
            ],
            about="Neither in its queue nor at the endpoint",
            unit="s",
        ),
        Panel(
            title="Store's answer",
            queries=[Query(expr="tiergate_store_ping_seconds", legend="{{instance}}")],
            about="How long a PING took at each scrape",
            unit="s",
            red=0.02,
        ),
        Panel(
            title="Settlements that wait",
            queries=[Query(expr="tiergate_settlements_waiting", legend="{{instance}}")],
            about="Above 0 for long: the store is away",
        ),
        Panel(
            title="Memory",
            queries=[
                Query(expr="sum by (instance) (tiergate_resident_memory_bytes)", legend="{{instance}}"),
            ],
            about="Resident, over all processes that serve",
            unit="bytes",
        ),
    ]
