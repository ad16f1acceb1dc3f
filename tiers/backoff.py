"""How long to wait before a tier is tried again.

Full jitter: the wait is drawn from all between nothing and a bound that doubles from try to try. Requests that failed
together then do not come back together.
"""

from typing import Final

from tiers.tiermap import Retry

PAD_SECONDS: Final = 0.01
"""Added to what an endpoint asked for: timers may fire a moment early."""


def wait_seconds(retry: Retry, failures: int, draw: float, asked: float | None = None) -> float | None:
    """The wait after so many failures in a row at one tier, at least one; ``None``: do not wait, go elsewhere.

    Args:
        retry: The tier's settings.
        failures: How often the request failed there.
        draw: A random number from 0 to below 1.
        asked: The ``Retry-After`` of the latest failure; it comes before the jitter.
    """
    jitter = draw * min(retry.backoff_max, retry.backoff * 2.0 ** min(failures - 1, 30))
    if asked is None:
        return jitter
    return asked + PAD_SECONDS + jitter if asked <= retry.retry_after_max else None
