"""What is the in-memory ledger's own; what it shares with the stores is in ``tests/contract``."""

from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.budget.ledger import ENDED_SECONDS, NoBudget, NoSlot, Reserved
from gateway.budget.memory import InMemoryLedger
from tests.contract.ledgers import budget_of, claim, hold
from tests.stores import ManualClock

DAY = 86_400


async def test_an_ended_reservation_is_forgotten_in_the_end() -> None:
    """Memory is bounded by what happened in the last minutes; after that its id is a new one."""
    clock = ManualClock()
    ledger = InMemoryLedger(clock.unix)
    one = claim("r", hold(1), life=DAY)
    assert await ledger.reserve(one) == Reserved()
    assert await ledger.release(one)
    clock.now += ENDED_SECONDS
    assert await ledger.reserve(one) == Reserved()
    assert (await ledger.balances([budget_of()]))[0].held == 1
    clock.now += DAY - ENDED_SECONDS  # where the first one would have expired
    assert await ledger.expire() == 0
    clock.now += ENDED_SECONDS
    assert await ledger.expire() == 1


async def test_a_booking_is_remembered_for_a_day_also_of_what_was_released_before() -> None:
    """The release alone is forgotten after some minutes."""
    clock = ManualClock()
    ledger = InMemoryLedger(clock.unix)
    one = claim("r", hold(1))
    assert not await ledger.release(one)
    assert await ledger.book(one, [1])
    clock.now += ENDED_SECONDS
    assert await ledger.expire() == 0
    assert not await ledger.book(one, [1])
    clock.now += DAY - ENDED_SECONDS
    assert await ledger.expire() == 0
    assert await ledger.book(one, [1])


async def test_balances_of_windows_long_past_are_forgotten() -> None:
    """Two days after a window's end nothing can settle in it any more."""
    clock = ManualClock()
    ledger = InMemoryLedger(clock.unix)
    for day in range(5):
        one = claim(f"r{day}", hold(1, window=DAY))
        assert await ledger.reserve(one) == Reserved()
        assert await ledger.settle(one, [1])
        clock.now += DAY
    assert await ledger.expire() == 0
    assert len(ledger._balances) == 2


def done(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - any verb's answer
    """The result of a verb, which never waits for anything in this ledger."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the verb waited")


class AgainstAModel(RuleBasedStateMachine):
    """Any sequence of verbs, beside plain records of what should be held and what should be spent."""

    LIMIT, SLOTS, LIFE = 20, 3, 10.0

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.ledger = InMemoryLedger(self.clock.unix)
        self.live: dict[str, tuple[str, int, float]] = {}
        self.settled = {"a": 0, "b": 0}
        self.count = 0

    def expire_model(self) -> int:
        """Charge what is overdue in the model; how many."""
        over = [name for name, (_, _, deadline) in self.live.items() if deadline <= self.clock.now]
        for name in over:
            owner, amount, _ = self.live.pop(name)
            self.settled[owner] += amount
        return len(over)

    def held(self, owner: str) -> int:
        """What the model holds for an owner."""
        return sum(amount for other, amount, _ in self.live.values() if other == owner)

    @rule(owner=st.sampled_from("ab"), amount=st.integers(0, 25))
    def reserve(self, owner: str, amount: int) -> None:
        """It is taken exactly when it fits and a slot is free."""
        self.expire_model()
        self.count += 1
        name = f"r{self.count}"
        answer = done(
            self.ledger.reserve(
                claim(name, hold(amount, owner=owner, limit=self.LIMIT), slots=self.SLOTS, life=self.LIFE)
            )
        )
        if amount > self.LIMIT - self.settled[owner] - self.held(owner):
            assert isinstance(answer, NoBudget)
        elif len(self.live) >= self.SLOTS:
            assert isinstance(answer, NoSlot)
            assert answer.held == len(self.live)
        else:
            assert answer == Reserved()
            self.live[name] = (owner, amount, self.clock.now + self.LIFE)

    @rule(data=st.data(), cost=st.integers(0, 30))
    def settle(self, data: st.DataObject, cost: int) -> None:
        """Only a live reservation can be settled."""
        name = f"r{data.draw(st.integers(0, self.count))}"
        owner, _, _ = self.live.get(name, ("a", 0, 0.0))
        assert done(self.ledger.settle(claim(name, hold()), [cost])) == (name in self.live)
        if self.live.pop(name, None):
            self.settled[owner] += cost

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Only a live reservation can be released."""
        name = f"r{data.draw(st.integers(0, self.count))}"
        assert done(self.ledger.release(claim(name, hold()))) == (self.live.pop(name, None) is not None)

    @rule(seconds=st.floats(0.1, 12))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.now += seconds

    @rule()
    def expire(self) -> None:
        """Exactly the overdue ones."""
        assert done(self.ledger.expire()) == self.expire_model()

    @invariant()
    def sums_agree(self) -> None:
        """Settled and held of every owner are the model's."""
        for one in done(self.ledger.balances([budget_of(limit=self.LIMIT)])):
            assert (one.settled, one.held) == (self.settled[one.owner], self.held(one.owner))


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
