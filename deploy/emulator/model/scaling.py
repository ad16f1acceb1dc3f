"""How many workers an endpoint wants: the scaler's rule, from numbers alone."""

from dataclasses import dataclass

from deploy.emulator.model.config import EndpointConfig, QueueDelay


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the scaler sees. ``live`` workers are those that it wants already: any but scaled-down and outdated ones."""

    queued: int
    in_progress: int
    live: int
    oldest_queued_at: float | None
    last_scaled_at: float


def wanted_workers(config: EndpointConfig, load: Load, now: float) -> int:
    """How many live workers there should be; never over ``workers_max``, and never fewer than there are for load."""
    least = min(config.workers_min, config.workers_max)
    if isinstance(config.scaling, QueueDelay):
        due = next_scale_at(config, load)
        wanted = load.live + 1 if due is not None and due <= now else load.live
    else:
        wanted = max(load.live, -(-(load.queued + load.in_progress) // config.scaling.requests))
    return max(least, min(wanted, config.workers_max))


def next_scale_at(config: EndpointConfig, load: Load) -> float | None:
    """When the queue-delay scaler adds a worker if the queue stays as it is; ``None`` where it never does.

    The first worker is started at once; each further one when the oldest job has waited for the queue delay, and as
    long after the last one; never more of them than there are jobs.
    """
    if not isinstance(config.scaling, QueueDelay) or load.oldest_queued_at is None:
        return None
    if load.live >= min(config.workers_max, load.queued + load.in_progress):
        return None
    if load.live == 0:
        return load.oldest_queued_at
    return max(load.oldest_queued_at, load.last_scaled_at) + config.scaling.seconds
