"""Looks at what is spent, beside requests, and has webhooks told of it.

An alert is posted at least once: a process that was killed after a webhook took it, and before the store heard of that,
leaves it to another. Its ``id`` stays the same.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from gateway.alerts.notice import Notice, notice
from gateway.alerts.outbox import Due, Mark, Outbox
from gateway.alerts.webhook import Connect, Named, Undelivered, post
from gateway.budget.ledger import Balance
from gateway.errors import StoreUnavailable
from gateway.exchange import Clock
from gateway.upstream.health import Report
from tiers.backoff import wait_seconds
from tiers.thresholds import reached
from tiers.tiermap import Budget, Retry

LOOK_SECONDS: Final = 5.0
"""How often balances are looked at, and alerts posted that are due."""
LEASE_SECONDS: Final = 30.0
"""How long a process that was killed keeps others from looking, and from posting what it had begun to post."""
GRACE_SECONDS: Final = LOOK_SECONDS
"""How much longer than its window a part stays noted, so that a late look at the old window is no news in the new."""
POSTS_MAX: Final = 20
"""Alerts that one process posts at once."""
TRIES: Final = Retry(attempts=16, backoff=2.0, backoff_max=600.0)
"""About three quarters of an hour."""


class Balances(Protocol):
    """What is asked of a ledger."""

    async def balances(self, budgets: Sequence[Budget]) -> list[Balance]:
        """See ``Ledger.balances``."""


class AlertWatch:
    """One process's share of the alerts of all processes of a store."""

    def __init__(
        self,
        *,
        ledger: Balances,
        outbox: Outbox,
        budgets: Callable[[], Sequence[Budget]],
        webhooks: Callable[[], Mapping[Named, str]],
        connect: Connect,
        clock: Clock,
        draw: Callable[[], float],
        new_id: Callable[[], str],
        report: Report,
        count: Callable[[str, str, float], None],
        retry: Retry = TRIES,
        look_seconds: float = LOOK_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        """``budgets`` and ``webhooks`` are the served tier map's now.

        ``draw`` makes random numbers from 0 to below 1, ``new_id`` ids that nobody else makes. ``count`` is told of
        each try, by the budget's name, what came of it, and when.
        """
        self._ledger = ledger
        self._outbox = outbox
        self._budgets = budgets
        self._webhooks = webhooks
        self._connect = connect
        self._clock = clock
        self._draw = draw
        self._new_id = new_id
        self._report = report
        self._count = count
        self._retry = retry
        self._look_seconds = look_seconds
        self._lease_seconds = lease_seconds

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await self.look()
            except StoreUnavailable:  # said elsewhere; nothing is lost, it only comes later
                continue

    async def look(self) -> None:
        """Note what is news, where this process is the one that does, and post what is due.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        watched = [budget for budget in self._budgets() if budget.alerts is not None]
        if not watched:
            return
        if await self._outbox.lead(self._lease_seconds):
            await self._outbox.note(await self._marks(watched))
        due = await self._outbox.take(lease_seconds=self._lease_seconds, most=POSTS_MAX)
        async with asyncio.TaskGroup() as group:
            for each in due:
                group.create_task(self._deliver(each))

    async def _marks(self, watched: Sequence[Budget]) -> list[Mark]:
        by_name = {(budget.name, budget.unit): budget for budget in watched}
        balances = await self._ledger.balances(watched)
        now = self._clock.unix()
        marks = []
        for balance in balances:
            budget = by_name[balance.budget, balance.unit]
            at = () if budget.alerts is None else budget.alerts.at
            for percent in reached(at, settled=balance.settled, limit=balance.limit):
                name = self._new_id()
                told = notice(budget, balance, percent, id=name, now_unix=now)
                rolling = budget.window.kind == "rolling"
                life = None if rolling else balance.window_ends_in_seconds + GRACE_SECONDS
                marks.append(Mark(key=_key(told), life_seconds=life, id=name, body=msgspec.json.encode(told)))
        return marks

    async def _deliver(self, due: Due) -> None:
        """Post one, and tell the store what came of it. Where that does not hear it, it comes again after the lease."""
        try:
            await self._posted(due)
        except StoreUnavailable:
            return

    async def _posted(self, due: Due) -> None:
        try:
            told = msgspec.json.decode(due.body, type=Notice)
        except msgspec.MsgspecError:  # of another version, which alone knows what it means
            await self._outbox.done(due)
            return
        about = {"id": due.id, "budget": told.budget, "owner": told.owner, "percent": told.percent, "tries": due.tries}
        reason = await self._refused(self._webhooks().get((told.budget, told.unit)), due.body)
        if reason is None:
            self._report("alert.sent", **about)
            self._count(told.budget, "sent", self._clock.unix())
            await self._outbox.done(due)
            return
        wait = wait_seconds(self._retry, due.tries, self._draw())
        if wait is None or due.tries >= self._retry.attempts:
            self._report("alert.given_up", **about, reason=reason)
            self._count(told.budget, "given_up", self._clock.unix())
            await self._outbox.done(due)
        else:
            self._report("alert.failed", **about, reason=reason, again_in_seconds=round(wait, 1))
            self._count(told.budget, "failed", self._clock.unix())
            await self._outbox.later(due, wait)

    async def _refused(self, url: str | None, body: bytes) -> str | None:
        """Why a webhook did not take ``body``; ``None`` where it did."""
        if url is None:  # another process may serve a newer tier map
            return "the tier map has no alerts of this budget"
        try:
            await post(url, body, self._connect)
        except Undelivered as error:
            return str(error)
        return None


def _key(told: Notice) -> str:
    """Lengths stand before texts, so that no two parts have one key."""
    return f"{len(told.budget)}:{told.budget}:{told.unit}:{told.percent}:{told.owner}"
