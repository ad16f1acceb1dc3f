"""What every ledger promises of slots: several at once, as leases."""

import pytest

from gateway.budget.ledger import SLOT_LEASE_SECONDS, NoSlot, Reserved, SlotClaim
from tests.contract.ledgers import Subject, claim, hold

pytestmark = pytest.mark.integration

KEY, AGENT = SlotClaim(name="3:key:a", capacity=2), SlotClaim(name="5:agent:a", capacity=1)
NAMES = ["routing", KEY.name, AGENT.name]


async def held(subject: Subject) -> list[int]:
    """How many slots of the tier, the key and the agent."""
    found = await subject.other.slots_held(NAMES)
    return [found[name] for name in NAMES]


async def test_all_slots_are_taken_or_none_and_the_refusal_names_the_full_one(timed: Subject) -> None:
    """The tier's own is looked at first."""
    assert await timed.ledger.reserve(claim("one", slots=3, also=(KEY, AGENT))) == Reserved()
    assert await held(timed) == [1, 1, 1]
    full = await timed.other.reserve(claim("two", hold(1), slots=3, also=(KEY, AGENT)))
    assert isinstance(full, NoSlot)
    assert (full.slot.name, full.held) == (AGENT.name, 1)
    full = await timed.other.reserve(claim("three", hold(1), slots=1, also=(KEY, AGENT)))
    assert isinstance(full, NoSlot)
    assert (full.slot.name, full.held) == ("routing", 1)
    assert await held(timed) == [1, 1, 1]
    assert await timed.sums() == (0, 0)
    assert await timed.ledger.release(claim("one"))
    assert await held(timed) == [0, 0, 0]


async def test_slots_are_limited_without_a_tiers_own(timed: Subject) -> None:
    """As where a tier has no number of slots."""
    assert await timed.ledger.reserve(claim("one", also=(AGENT,))) == Reserved()
    full = await timed.ledger.reserve(claim("two", also=(AGENT,)))
    assert isinstance(full, NoSlot)
    assert full.slot is AGENT


async def test_a_lease_without_a_word_ends_though_the_hold_stays(timed: Subject) -> None:
    """A killed gateway's slots are free within the lease; its money is charged when the life is over."""
    assert await timed.ledger.reserve(claim("lost", hold(2), slots=1, also=(AGENT,), life=600)) == Reserved()
    await timed.pass_time(SLOT_LEASE_SECONDS - 1)
    assert await held(timed) == [1, 0, 1]
    await timed.pass_time(1)
    assert await held(timed) == [0, 0, 0]
    assert await timed.sums() == (0, 2)
    assert await timed.other.reserve(claim("next", slots=1, also=(AGENT,))) == Reserved()
    await timed.pass_time(600 - SLOT_LEASE_SECONDS)
    assert await timed.ledger.expire() == 2
    assert await timed.sums() == (2, 0)


async def test_a_renewed_lease_goes_on_until_the_life_is_over(timed: Subject) -> None:
    """And not beyond, however often it is renewed."""
    one = claim("one", slots=1, also=(AGENT,), life=70)
    assert await timed.ledger.reserve(one) == Reserved()
    for _ in range(3):
        await timed.pass_time(20)
        await timed.ledger.renew([claim("unknown", slots=1), one])
        assert await held(timed) == [1, 0, 1]
    await timed.pass_time(10)
    assert await held(timed) == [0, 0, 0]
    await timed.ledger.renew([one])
    assert await held(timed) == [0, 0, 0]
    await timed.ledger.renew([])


async def test_a_lapsed_lease_is_taken_up_again_even_above_the_capacity(timed: Subject) -> None:
    """Its request is still running, whatever was let in meanwhile."""
    late = claim("late", slots=1, life=600)
    assert await timed.ledger.reserve(late) == Reserved()
    await timed.pass_time(SLOT_LEASE_SECONDS)
    assert await timed.ledger.reserve(claim("next", slots=1)) == Reserved()
    await timed.ledger.renew([late])
    assert await held(timed) == [2, 0, 0]
    assert await timed.ledger.settle(late, [])
    await timed.ledger.renew([late])
    assert await held(timed) == [1, 0, 0]
