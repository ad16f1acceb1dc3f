"""Slots of attempts that take long."""

import asyncio

from gateway.budget.ledger import SLOT_LEASE_SECONDS, Claim
from gateway.leases import RENEWALS_PER_LEASE, Leases
from tests.contract.ledgers import claim
from tests.doubles.clock import ManualClock
from tests.doubles.ledger import FailingLedger
from tests.stores import eventually


class Turns:
    """Stands for the passing of one interval after the other, each when the test says so."""

    def __init__(self, clock: ManualClock) -> None:
        self.waited: list[float] = []
        self._clock = clock
        self._next = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait for the test."""
        self.waited.append(seconds)
        await self._next.wait()
        self._next.clear()
        self._clock.advance(seconds)

    async def pass_one(self) -> None:
        """Let the interval go by, and what follows it happen."""
        count = len(self.waited)
        self._next.set()
        await eventually(lambda: len(self.waited) > count)


async def test_a_slot_is_kept_as_long_as_its_attempt_goes_on_and_no_longer() -> None:
    """Also while the store is away for a time; a claim that was just taken is not renewed at once."""
    clock = ManualClock()
    ledger, turns, live = FailingLedger(clock.unix), Turns(clock), dict[str, Claim]()
    leases = Leases(ledger, live, sleep=turns.sleep)
    task = asyncio.get_running_loop().create_task(leases.run())
    await eventually(lambda: len(turns.waited) == 1)
    long, short = claim("long", slots=2, life=3600), claim("short", slots=2, life=3600)
    for one in (long, short):
        await ledger.reserve(one)
        live[one.id] = one
    await turns.pass_one()
    assert ledger.asked["renew"] == 0
    del live["short"]
    for _ in range(RENEWALS_PER_LEASE * 2):
        await turns.pass_one()
    assert await ledger.slots_held(["routing"]) == {"routing": 1}
    ledger.down = {"renew"}
    await turns.pass_one()
    ledger.down = set()
    await turns.pass_one()
    assert await ledger.slots_held(["routing"]) == {"routing": 1}
    assert set(turns.waited) == {SLOT_LEASE_SECONDS / RENEWALS_PER_LEASE}
    task.cancel()
    await asyncio.wait([task])
