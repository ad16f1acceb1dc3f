"""What is let in while the store cannot be asked."""

import asyncio

import pytest

from gateway.errors import StoreUnavailable
from gateway.outage import Allowances
from tests.doubles.client import FakeClient
from tests.doubles.transport import FakeResponse
from tests.gateway.rig import rig
from tests.gateway.samples import ANSWER, budget, request, token_tier
from tiers.price import GpuPrice
from tiers.tiermap import Outage, Timeouts

OPEN = Outage(policy="open", allowance_microdollars=100)


def test_a_tier_that_is_closed_lets_nobody_in() -> None:
    assert not Allowances().take(token_tier(), 0)


def test_worst_cases_are_let_in_up_to_the_allowance_and_what_they_did_not_use_comes_back() -> None:
    allowances, tier = Allowances(), token_tier(outage=OPEN, slots=9)
    assert allowances.take(tier, 60)
    assert not allowances.take(tier, 60)
    allowances.ended(tier, 60, 10)
    assert allowances.take(tier, 90)
    assert not allowances.take(tier, 1)
    allowances.booked(tier.name, 10)
    assert allowances.take(tier, 10)


def test_what_a_process_that_is_gone_let_in_counts_until_it_is_booked() -> None:
    """Else a gateway that ends and starts again all the time would have the allowance each time."""
    allowances, tier = Allowances(), token_tier(outage=OPEN, slots=9)
    allowances.owed(tier.name, 60)
    assert not allowances.take(tier, 60)
    allowances.booked(tier.name, 60)
    assert allowances.take(tier, 60)


def test_no_more_run_at_once_than_the_tier_has_slots() -> None:
    allowances, tier = Allowances(), token_tier(outage=OPEN, slots=1)
    assert allowances.take(tier, 1)
    assert not allowances.take(tier, 1)
    allowances.ended(tier, 1, 0)
    assert allowances.take(tier, 1)


async def test_what_was_served_without_the_store_is_booked_once_when_it_is_back() -> None:
    subject = rig(
        token_tier(outage=Outage(policy="open", allowance_microdollars=10**9), output=10), budgets=(budget(10**9),)
    )
    subject.transport.then(FakeResponse(ANSWER))
    subject.ledger.down = {"reserve", "book", "release"}
    client = FakeClient(request())
    await subject.start(client)
    assert client.status == 200
    cost = subject.records[0].cost_microdollars
    assert cost > 0
    assert subject.settler.unsettled > 0
    subject.ledger.down = set()
    await subject.settler.book_kept()
    await subject.settler.book_kept()
    assert await subject.spent() == {"money": (cost, 0)}
    assert [how for _, how in subject.ledger.resolved] == ["booked"]


async def test_a_closed_tier_is_refused_without_the_store() -> None:
    subject = rig(token_tier(), budgets=(budget(),))
    subject.ledger.down = {"reserve"}
    client = FakeClient(request())
    await subject.start(client)
    assert client.status == StoreUnavailable.status


@pytest.mark.parametrize("worked", [True, False])
async def test_what_did_no_work_gives_its_allowance_back(worked: bool) -> None:
    tier = token_tier(outage=Outage(policy="open", allowance_microdollars=10**9), slots=1)
    subject = rig(tier, budgets=(budget(10**9),))
    first_answer = FakeResponse(ANSWER) if worked else FakeResponse(b"no", status=400)
    subject.transport.then(first_answer, FakeResponse(ANSWER))
    subject.ledger.down = {"reserve", "book", "release"}
    first, second = FakeClient(request()), FakeClient(request())
    await subject.start(first)
    await asyncio.wait_for(subject.start(second), 5)
    assert second.status == 200


async def test_a_stream_that_is_let_in_takes_its_whole_worst_case_and_is_not_extended() -> None:
    """The ledger has no reservation of it that could grow."""
    tier = token_tier(
        price=GpuPrice(microdollars_per_second=1),
        timeouts=Timeouts(total=300),
        outage=Outage(policy="open", allowance_microdollars=300),
    )
    subject = rig(tier, budgets=(budget(10**9),))
    subject.transport.then(FakeResponse(ANSWER))
    subject.ledger.down = {"reserve", "release", "book"}
    client = FakeClient(request(stream=True))
    await subject.start(client)
    assert client.status == StoreUnavailable.status
    assert subject.ledger.asked["extend"] == 0
