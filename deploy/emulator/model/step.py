"""One endpoint's way through time.

    step = idle days → workers' own changes → jobs that expire → the scaler → jobs to free workers

``next_at`` says when that is due again.
"""

from deploy.emulator.model import idleness, queue, workforce
from deploy.emulator.model.endpoint import Endpoint


def step(endpoint: Endpoint, now: float) -> None:
    """Do all that is due at ``now``."""
    idleness.step(endpoint, now)
    workforce.step(endpoint, now)
    queue.expire(endpoint, now)
    workforce.scale(endpoint, now)
    queue.dispatch(endpoint, now)


def next_at(endpoint: Endpoint) -> float | None:
    """When the next step is due if nothing happens from outside; ``None`` is never."""
    sources = (idleness.next_at(endpoint), workforce.next_at(endpoint), queue.next_at(endpoint))
    return min((at for at in sources if at is not None), default=None)
