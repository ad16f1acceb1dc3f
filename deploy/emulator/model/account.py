"""An account: its API keys, its worker quota, its balance."""

from dataclasses import dataclass, field
from itertools import pairwise

from deploy.emulator.model.resources import Resources

QUOTA_BY_BALANCE = ((0, 5), (100, 10), (200, 20), (300, 30), (500, 40), (700, 50), (900, 60))
"""From this balance in dollars → max workers summed over the account's endpoints."""
SPEND_LIMIT_USD_PER_HOUR = 80


@dataclass(slots=True, kw_only=True)
class Account:
    """One account. Its state is the ``World``'s to change.

    Attributes:
        id: Its id.
        keys: The API keys that act for it.
        balance_usd: What was paid in; workers stop when all of it is spent.
        quota_workers: Max workers over all endpoints, where it was set by hand.
        spend_limit_usd_per_hour: No worker is started beyond it.
        resources: Templates, registries, volumes and secrets.
    """

    id: str
    keys: set[str] = field(repr=False)
    balance_usd: float = 1000.0
    quota_workers: int | None = None
    spend_limit_usd_per_hour: float = SPEND_LIMIT_USD_PER_HOUR
    resources: Resources = field(default_factory=Resources)

    @property
    def workers_max(self) -> int:
        """How many workers the endpoints' ``workers.max`` may sum up to."""
        if self.quota_workers is not None:
            return self.quota_workers
        return next(
            (workers for (_, workers), (above, _) in pairwise(QUOTA_BY_BALANCE) if self.balance_usd < above),
            QUOTA_BY_BALANCE[-1][1],
        )
