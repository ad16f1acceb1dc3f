"""What a ledger should do, in plain records: the model that any sequence of verbs is held against."""

from collections import Counter
from dataclasses import dataclass, field

from gateway.budget.ledger import SLOT_LEASE_SECONDS
from tiers.holds import Concern
from tiers.windows import bounds, bucket_seconds


@dataclass(slots=True)
class Entry:
    """What counts of one window, or of one bucket of a rolling one."""

    held: int = 0
    settled: int = 0


@dataclass(slots=True, kw_only=True)
class Live:
    """One reservation that has not ended; an entry for each of its holds."""

    entries: list[Entry]
    starts: list[int]
    amounts: list[int]
    deadline: float
    lease: float
    slots: tuple[str, ...]


@dataclass(slots=True)
class Model:
    """All that a ledger knows."""

    now: float
    entries: dict[tuple[str, str, int], Entry] = field(default_factory=dict)
    live: dict[str, Live] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    """How often each id was charged or given back."""
    released: set[str] = field(default_factory=set)

    def sums(self, concern: Concern, start: int | None = None) -> Entry:
        """What counts now, or in the window that began at ``start``."""
        window, found = concern.window, Entry()
        for (budget, owner, begun), entry in self.entries.items():
            if window.kind == "rolling":
                counts = begun + bucket_seconds(window) + window.seconds > self.now // 1
            else:
                counts = begun == (bounds(window, self.now)[0] if start is None else start)
            if (budget, owner) == (concern.budget, concern.owner) and counts:
                found.held += entry.held
                found.settled += entry.settled
        return found

    def free(self, concern: Concern, start: int | None = None) -> int:
        """What is left of the limit."""
        sums = self.sums(concern, start)
        return concern.limit - sums.held - sums.settled

    def slots_held(self, name: str) -> int:
        """By live leases."""
        return sum(one.slots.count(name) for one in self.live.values() if one.lease > self.now)

    def take(
        self, name: str, concerns: list[Concern], amounts: list[int], *, slots: tuple[str, ...], life: float
    ) -> None:
        """A reserve that fits."""
        starts = [bounds(concern.window, self.now)[0] for concern in concerns]
        entries = [self._entry(concern, start) for concern, start in zip(concerns, starts, strict=True)]
        deadline = self.now + life
        lease = min(self.now + SLOT_LEASE_SECONDS, deadline)
        self.live[name] = Live(
            entries=entries, starts=starts, amounts=list(amounts), deadline=deadline, lease=lease, slots=slots
        )
        for entry, amount in zip(entries, amounts, strict=True):
            entry.held += amount

    def extend(self, name: str, amounts: list[int]) -> None:
        """An extension that fits."""
        one = self.live[name]
        for index, amount in enumerate(amounts):
            more = max(0, amount - one.amounts[index])
            one.entries[index].held += more
            one.amounts[index] += more

    def renew(self, name: str) -> None:
        """Its lease goes on, if it is live."""
        one = self.live.get(name)
        if one is not None and one.deadline > self.now:
            one.lease = min(self.now + SLOT_LEASE_SECONDS, one.deadline)

    def end(self, name: str, costs: list[int] | None) -> None:
        """Charges ``costs`` in place of what was held; without them all that was held."""
        one = self.live.pop(name)
        self.ends[name] += 1
        for entry, held, cost in zip(one.entries, one.amounts, one.amounts if costs is None else costs, strict=True):
            entry.held -= held
            entry.settled += cost

    def book(self, name: str, concerns: list[Concern], costs: list[int]) -> None:
        """Charges what was never reserved."""
        self.ends[name] += 1
        for concern, cost in zip(concerns, costs, strict=True):
            self._entry(concern, bounds(concern.window, self.now)[0]).settled += cost

    def expire(self) -> int:
        """Charges all whose time is over; how many."""
        over = [name for name, one in self.live.items() if one.deadline <= self.now]
        for name in over:
            self.end(name, None)
        return len(over)

    def _entry(self, concern: Concern, start: int) -> Entry:
        return self.entries.setdefault((concern.budget, concern.owner, start), Entry())
