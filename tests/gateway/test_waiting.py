"""Slots as admission claims them, and the line for them."""

import asyncio

import pytest

from gateway.budget.ledger import owner_slot
from gateway.waiting import OwnerSlot, TierSlots, Turn
from tests.gateway.samples import token_tier
from tiers.tiermap import Queue, Timeouts


def test_an_owners_slot_is_named_so_that_no_tier_and_no_other_owner_is_called_alike() -> None:
    assert OwnerSlot("a", "b:c", 1).name == owner_slot("a", "b:c") != OwnerSlot("a:b", "c", 1).name


async def test_the_first_in_line_is_told_that_it_is_its_turn_and_then_the_next() -> None:
    slots = TierSlots(token_tier(slots=1))
    turns = [Turn(slots.line.place("a")), Turn(slots.line.place("b"))]
    for turn in turns:
        slots.stand(turn)
    assert [turn.come.is_set() for turn in turns] == [True, False]
    assert (slots.crowded, slots.waiting) == (True, 2)
    slots.step_out(turns[0], served=True)
    slots.step_out(turns[0], served=True)
    assert turns[1].come.is_set()
    slots.step_out(turns[1], served=True)
    assert (slots.crowded, slots.waiting) == (False, 0)


async def test_a_slot_that_comes_free_is_waited_for_no_longer_than_told() -> None:
    slots = TierSlots(token_tier())
    await slots.next_freed(0.01)
    slots.freed_since = True
    await asyncio.wait_for(slots.next_freed(60), 1)
    assert not slots.freed_since


@pytest.mark.parametrize(("total", "life"), [(60.0, 60 + 30 + 15), (1e9, 86_400.0)])
def test_a_reservation_outlives_its_request_by_the_time_that_it_takes_to_settle(total: float, life: float) -> None:
    tier = token_tier(timeouts=Timeouts(total=total), queue=Queue(wait_seconds=30))
    assert TierSlots(tier).life_seconds == life
