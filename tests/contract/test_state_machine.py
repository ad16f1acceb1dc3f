"""Any sequence of verbs, moments, crashes, repeated calls and lost answers leaves a ledger as the model has it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gateway.budget.ledger import ENDED_SECONDS, Claim, Ledger, NoBudget, NoSlot, Over, Reserved, SlotClaim
from tests.contract.ledgers import budget_of, claim, hold
from tests.contract.model import Model
from tests.contract.moved import START
from tests.contract.subjects import timed_subject
from tiers.holds import Concern
from tiers.windows import Window

pytestmark = pytest.mark.integration

BUDGETS = {
    "daily": (20, Window(seconds=10**9)),
    "hundred": (12, Window(seconds=100)),
    "minute": (15, Window(kind="rolling", seconds=60)),
}
"""Their limits and windows."""
TIER_SLOTS, AGENT_SLOTS = 4, 2
Answer = TypeVar("Answer")
amounts_of = st.tuples(*[st.integers(0, 9)] * len(BUDGETS)).map(list)


class AgainstTheModel(RuleBasedStateMachine):
    """Claims that nobody ends are those of a process that crashed; a call that is made twice is one whose answer got
    lost, or of which a copy was late on the wire.
    """

    def __init__(self, runner: asyncio.Runner, socket: Path | None) -> None:
        super().__init__()
        self.runner = runner
        self.open = AsyncExitStack()
        self.subject = self.done(self.open.enter_async_context(timed_subject(socket)))
        self.model = Model(START)
        self.claims: list[Claim] = []
        self.settled_at: dict[str, float] = {}
        self.overspent = False

    def teardown(self) -> None:
        """All time passes: nothing stays held, and every reservation has ended once."""
        self.pass_time(86_400)
        self.expire()
        assert all(count == 1 for count in self.model.ends.values())
        for name, (limit, window) in BUDGETS.items():
            for one in self.done(self.subject.ledger.balances([budget_of(name, limit=limit, window=window)])):
                assert one.held == 0
        self.done(self.open.aclose())

    def done(self, verb: Awaitable[Answer]) -> Answer:
        """Its answer."""

        async def waited() -> Answer:
            return await verb

        return self.runner.run(waited())

    def call(self, verb: Callable[[Ledger], Awaitable[Answer]], *, twice: bool) -> Answer:
        """The first answer; the second call goes through the other process."""
        answer = self.done(verb(self.subject.ledger))
        if twice:
            again = self.done(verb(self.subject.other))
            # Said twice, done once: only the first one did it, and a refusal is the same both times.
            assert again is False or again == answer or isinstance(answer, Reserved)
        return answer

    def concerns(self, one: Claim) -> list[Concern]:
        """The budgets of a claim."""
        return list(one.concerned.concerns)

    def drawn(self, data: st.DataObject) -> Claim:
        """One of the claims so far, or one that never was."""
        if not self.claims:
            return self.new("a", [1, 1, 1], life=10)
        return data.draw(st.sampled_from(self.claims))

    def new(self, owner: str, amounts: list[int], *, life: float) -> Claim:
        """A claim of its own."""
        holds = [
            hold(amount, budget=name, owner=owner, limit=limit, window=window)
            for (name, (limit, window)), amount in zip(BUDGETS.items(), amounts, strict=True)
        ]
        also = (SlotClaim(name=f"5:agent:{owner}", capacity=AGENT_SLOTS),)
        one = claim(f"r{len(self.claims)}", *holds, slots=TIER_SLOTS, life=life, also=also)
        self.claims.append(one)
        return one

    @rule(
        owner=st.sampled_from("ab"), amounts=amounts_of, life=st.sampled_from([20.0, 45.0, 300.0]), twice=st.booleans()
    )
    def reserve(self, owner: str, amounts: list[int], *, life: float, twice: bool) -> None:
        """It is taken exactly when all of it fits and both slots are free."""
        one = self.new(owner, amounts, life=life)
        answer = self.call(lambda ledger: ledger.reserve(one), twice=twice)
        self.model.expire()
        concerns = self.concerns(one)
        slots = ("routing", f"5:agent:{owner}")
        short = [index for index, amount in enumerate(amounts) if amount > self.model.free(concerns[index])]
        if short:
            assert isinstance(answer, NoBudget)
            assert answer.hold.concern == concerns[short[0]]
            assert answer.available == self.model.free(concerns[short[0]])
            assert 0 < answer.window_ends_in_seconds <= concerns[short[0]].window.seconds
            return
        full = [
            name
            for name, capacity in zip(slots, (TIER_SLOTS, AGENT_SLOTS), strict=True)
            if self.model.slots_held(name) >= capacity
        ]
        if full:
            assert isinstance(answer, NoSlot)
            assert (answer.slot.name, answer.held) == (full[0], self.model.slots_held(full[0]))
            return
        assert answer == Reserved()
        self.model.take(one.id, concerns, amounts, slots=slots, life=life)

    @rule(data=st.data(), amounts=amounts_of, twice=st.booleans())
    def extend(self, data: st.DataObject, amounts: list[int], *, twice: bool) -> None:
        """It is raised where it is live and all of it fits."""
        one = self.drawn(data)
        live = self.model.live.get(one.id)
        answer = self.call(lambda ledger: ledger.extend(one, amounts), twice=twice)
        if live is None or live.deadline <= self.model.now:
            assert answer == Over()
            return
        more = [max(0, amount - held) for amount, held in zip(amounts, live.amounts, strict=True)]
        free = [self.model.free(*each) for each in zip(self.concerns(one), live.starts, strict=True)]
        if any(extra > left for extra, left in zip(more, free, strict=True) if extra):
            assert isinstance(answer, NoBudget)
            return
        assert answer == Reserved()
        self.model.extend(one.id, amounts)

    @rule(data=st.data(), twice=st.booleans())
    def settle(self, data: st.DataObject, *, twice: bool) -> None:
        """Only a live reservation is settled, here for no more than it holds."""
        one = self.drawn(data)
        live = self.model.live.get(one.id)
        costs = [data.draw(st.integers(0, amount)) for amount in (live.amounts if live else [1, 1, 1])]
        assert self.call(lambda ledger: ledger.settle(one, costs), twice=twice) is (live is not None)
        if live is not None:
            self.model.end(one.id, costs)
            self.settled_at[one.id] = self.model.now

    @rule(data=st.data(), twice=st.booleans())
    def release(self, data: st.DataObject, *, twice: bool) -> None:
        """Only a live reservation is released."""
        one = self.drawn(data)
        live = one.id in self.model.live
        assert self.call(lambda ledger: ledger.release(one), twice=twice) is live
        if live:
            self.model.end(one.id, [0] * len(BUDGETS))
            self.model.released.add(one.id)

    @rule(data=st.data(), costs=amounts_of, twice=st.booleans())
    def book(self, data: st.DataObject, costs: list[int], *, twice: bool) -> None:
        """What is live is settled; what nobody charged yet is charged, whatever is left."""
        one = self.drawn(data)
        if self.settled_at.get(one.id, self.model.now) + ENDED_SECONDS <= self.model.now:
            return  # nobody books what was settled so long ago: it is forgotten
        live, charged = one.id in self.model.live, one.id in self.model.ends and one.id not in self.model.released
        assert self.call(lambda ledger: ledger.book(one, costs), twice=twice) is (live or not charged)
        if live:
            self.overspent = True
            self.model.end(one.id, costs)
        elif not charged:
            self.overspent = True
            del self.model.ends[one.id]
            self.model.released.discard(one.id)
            self.model.book(one.id, self.concerns(one), costs)

    @rule(data=st.data(), twice=st.booleans())
    def renew(self, data: st.DataObject, *, twice: bool) -> None:
        """The leases of the live go on, but not beyond their lives."""
        one = self.drawn(data)
        self.call(lambda ledger: ledger.renew([one]), twice=twice)
        self.model.renew(one.id)

    @rule(seconds=st.sampled_from([0.25, 1.0, 7.5, 30.0, 61.0, 130.0]))
    def pass_time(self, seconds: float) -> None:
        """Leases lapse, buckets and windows go, lives end."""
        self.model.now += seconds
        self.done(self.subject.pass_time(seconds))

    @rule()
    def expire(self) -> None:
        """Exactly those whose time is over."""
        assert self.done(self.subject.other.expire()) == self.model.expire()
        assert self.done(self.subject.ledger.expire()) == 0

    @invariant()
    def sums_agree(self) -> None:
        """Every balance is the model's to the last unit, and none is overdrawn."""
        budgets = [budget_of(name, limit=limit, window=window) for name, (limit, window) in BUDGETS.items()]
        found = {(one.budget, one.owner): one for one in self.done(self.subject.ledger.balances(budgets))}
        for (name, (limit, window)), owner in ((each, owner) for each in BUDGETS.items() for owner in "ab"):
            sums = self.model.sums(Concern(name, owner, "USD", limit, window))
            one = found.get((name, owner))
            assert ((one.settled, one.held) if one else (0, 0)) == (sums.settled, sums.held)
            assert self.overspent or sums.settled + sums.held <= limit

    @invariant()
    def slots_agree(self) -> None:
        """Every slot is taken by a live lease."""
        names = ["routing", "5:agent:a", "5:agent:b"]
        assert self.done(self.subject.ledger.slots_held(names)) == {name: self.model.slots_held(name) for name in names}


def test_a_ledger_is_as_the_model_has_it(socket: Path | None) -> None:
    """Never overdrawn, each reservation ended once, balances conserved."""
    with asyncio.Runner() as runner:

        def machine() -> AgainstTheModel:
            return AgainstTheModel(runner, socket)

        run_state_machine_as_test(
            cast("Any", machine),  # a factory will do, though only classes are announced
            settings=settings(
                max_examples=100 if socket is None else 40,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
