"""What a process may let in while the store cannot be asked, by tiers whose ``outage`` is open.

Each such request takes its worst case from the tier's allowance. It gives back what it did not use when it ends, and
the rest once that is booked: so a next outage begins with all of it only where the last one is paid for.
"""

from collections import Counter

from tiers.tiermap import Tier


class Allowances:
    """The allowances of one process, in microdollars by tier."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._running: Counter[str] = Counter()

    def take(self, tier: Tier, microdollars: int) -> bool:
        """Let a request in that may cost so much; ``False`` where the tier's allowance or slots are used up."""
        name, allowance = tier.name, tier.outage.allowance_microdollars
        if tier.outage.policy != "open" or self._taken[name] + microdollars > allowance:
            return False
        if self._running[name] >= tier.slots:
            return False
        self._taken[name] += microdollars
        self._running[name] += 1
        return True

    def ended(self, tier: Tier, taken: int, spent: int) -> None:
        """A request that took so much has ended, and cost ``spent``."""
        self._running[tier.name] -= 1
        self._taken[tier.name] -= taken - spent

    def owed(self, tier: str, spent: int) -> None:
        """A process that is gone let in what cost so much, and it is booked by this one."""
        self._taken[tier] += spent

    def booked(self, tier: str, spent: int) -> None:
        """What it cost has been booked."""
        self._taken[tier] -= spent
