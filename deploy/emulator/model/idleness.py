"""What Runpod does to an endpoint that nobody asks for days: it cuts max workers, until they are raised by hand."""

from dataclasses import replace

from deploy.emulator.model.endpoint import Endpoint

DAY_SECONDS = 86_400.0
CUTS = ((3 * DAY_SECONDS, 2), (7 * DAY_SECONDS, 0))
"""After so long without a request → so many workers at most."""


def step(endpoint: Endpoint, now: float) -> None:
    """Cut what is due. It makes no release: the endpoint's owner did not do it."""
    for after, most in CUTS:
        if now >= endpoint.last_request_at + after and endpoint.config.workers_max > most:
            least = min(endpoint.config.workers_min, most)
            endpoint.config = replace(endpoint.config, workers_max=most, workers_min=least)


def next_at(endpoint: Endpoint) -> float | None:
    """When the next cut is due."""
    due = [endpoint.last_request_at + after for after, most in CUTS if endpoint.config.workers_max > most]
    return min(due, default=None)
