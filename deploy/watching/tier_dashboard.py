"""The dashboard of one tier: how it serves, and what holds its requests up."""

from typing import Final

from deploy.watching.dashboard import Choice, Dashboard, Row
from deploy.watching.layer_panels import gpu_panels
from deploy.watching.panel import Panel, Query
from deploy.watching.promql import PERCENTILES, buckets, percentile

_TIER: Final = 'tier=~"$tier"'


def tier_dashboard() -> Dashboard:
    """One tier, or some, chosen at its top."""
    return Dashboard(
        name="tier",
        title="tier",
        about="How a tier serves, and what holds its requests up: its slots, its workers or its endpoints.",
        choices=[Choice(name="tier", series="tiergate_slots")],
        rows=[
            Row(title="Requests", panels=_requests()),
            Row(title="As clients see it", panels=_clients()),
            Row(title="In the gateway", panels=_slots()),
            Row(title="At Runpod", panels=[*gpu_panels(_TIER), *_endpoints()]),
        ],
    )


def _requests() -> list[Panel]:
    return [
        Panel(
            title="Requests",
            queries=[
                Query(
                    expr=f"sum by (tier, outcome) (rate(tiergate_requests_total{{{_TIER}}}[5m]))",
                    legend="{{tier}} {{outcome}}",
                )
            ],
            about="By how they ended",
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Tokens",
            queries=[
                Query(
                    expr=f"sum by (tier, gen_ai_token_type) (rate(gen_ai_client_token_usage_sum{{{_TIER}}}[5m]))",
                    legend="{{tier}} {{gen_ai_token_type}}",
                )
            ],
            about="Of good requests, per second",
            unit="tokens/s",
        ),
    ]


def _clients() -> list[Panel]:
    return [
        _times("Duration", "gen_ai_server_request_duration_seconds", "From a request's arrival to its answer's end"),
        _times("Time to first token", "gen_ai_server_time_to_first_token_seconds", "Of streamed answers"),
        _times("Time per output token", "gen_ai_server_time_per_output_token_seconds", "After the first one"),
    ]


def _slots() -> list[Panel]:
    return [
        _times("Queue delay", "tiergate_queue_delay_seconds", "Wait for a slot in the gateway"),
        Panel(
            title="Slots",
            queries=[
                Query(expr=f"max by (tier) (tiergate_slots_held{{{_TIER}}})", legend="{{tier}} held"),
                Query(expr=f"max by (tier) (tiergate_slots{{{_TIER}}})", legend="{{tier}} slots"),
                Query(expr=f"sum by (tier) (tiergate_queue_length{{{_TIER}}})", legend="{{tier}} waiting"),
            ],
            about="Held at the limit for long: the tier is too small",
        ),
    ]


def _endpoints() -> list[Panel]:
    return [
        Panel(
            title="Ways",
            queries=[
                Query(
                    expr=f"sum by (endpoint, way, cold) (rate(tiergate_runpod_requests_total{{{_TIER}}}[5m]))",
                    legend="{{endpoint}} {{way}} cold: {{cold}}",
                )
            ],
            about="Which way requests went at Runpod, and whether no worker was awake then",
            unit="reqps",
        ),
        Panel(
            title="Circuit breakers",
            queries=[
                Query(
                    expr=f'sum by (tier, endpoint, state) (tiergate_endpoint_state{{{_TIER}, state!="closed"}})',
                    legend="{{endpoint}} {{state}}",
                )
            ],
            about="Gateway processes that leave an endpoint alone or try it",
        ),
    ]


def _times(title: str, histogram: str, about: str) -> Panel:
    rates = buckets(histogram, "tier", "5m", _TIER)
    return Panel(
        title=title,
        queries=[Query(expr=percentile(percent, rates), legend=f"P{percent} {{{{tier}}}}") for percent in PERCENTILES],
        about=about,
        unit="s",
    )
