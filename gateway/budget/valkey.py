"""The ledger in Valkey or Redis (6.2 or newer): one Lua script a verb, so each verb is one atomic step.

The scripts and the layout of the keys are in ``scripts``. When the store does not know a script, as after its
restart, it is sent whole.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from gateway.budget.batch import Batch
from gateway.budget.ledger import Answer, Balance, Claim, NoBudget, NoSlot, Reserved, check_amounts
from gateway.errors import StoreUnavailable
from tiers.tiermap import Budget

EXPIRE_BATCH = 500
"""How many overdue reservations one script call ends: some milliseconds of the store's time."""
MICROSECONDS = 1_000_000


class ValkeyLedger:
    """Fulfils ``gateway.budget.ledger.Ledger`` for any number of processes that share one store.

    ``client`` returns bytes (``decode_responses`` off). All keys start with ``{prefix}``, one hash tag.
    """

    def __init__(self, client: Redis, prefix: str = "tiergate") -> None:
        self._batch = Batch(client)
        self._stem = f"{{{prefix}}}:"
        self._deadlines = f"{self._stem}deadlines"
        shared = _text("reservation")
        self._reserve = _Script.of(shared + _text("reserve"))
        self._settle = _Script.of(shared + _text("settle"))
        self._release = _Script.of(shared + _text("release"))
        self._expire = _Script.of(shared + _text("expire"))
        self._balances = _Script.of(shared + _text("balances"))
        self._slots = _Script.of(shared + _text("slots"))

    async def aclose(self) -> None:
        """Wait for the verbs that are on their way. The client stays open: it belongs to who passed it in."""
        await self._batch.aclose()

    async def reserve(self, claim: Claim) -> Answer:
        """See ``Ledger.reserve``."""
        slot = claim.slot
        keys = [*self._keys(claim)] if slot is None else [*self._keys(claim), self._slot_key(slot.name)]
        arguments: list[bytes | str | int] = [
            self._stem,
            claim.id,
            max(1, round(claim.life_seconds * MICROSECONDS)),
            0 if slot is None else slot.capacity,
        ]
        for hold in claim.holds:
            account = _account(hold.unit, hold.budget)
            arguments += (hold.window_seconds, hold.amount, hold.limit, account, hold.owner)
        match await self._run(self._reserve, keys, arguments):
            case [1, held]:
                return NoSlot(held=held)
            case [2, index, available, ends]:
                return NoBudget(
                    hold=claim.holds[index],
                    available=available,
                    window_ends_in_seconds=ends / MICROSECONDS,
                )
            case _:
                return Reserved()

    async def settle(self, claim: Claim, amounts: Sequence[int]) -> bool:
        """See ``Ledger.settle``."""
        check_amounts(claim, amounts)
        return bool(await self._run(self._settle, self._keys(claim), [self._stem, claim.id, *amounts]))

    async def release(self, claim: Claim) -> bool:
        """See ``Ledger.release``."""
        return bool(await self._run(self._release, self._keys(claim), [self._stem, claim.id]))

    async def expire(self) -> int:
        """See ``Ledger.expire``."""
        total = 0
        seen = EXPIRE_BATCH
        while seen == EXPIRE_BATCH:
            seen, expired = await self._run(self._expire, [self._deadlines], [self._stem, EXPIRE_BATCH])
            total += expired
        return total

    async def balances(self, budgets: Sequence[Budget]) -> list[Balance]:
        """See ``Ledger.balances``."""
        arguments: list[bytes | str | int] = [self._stem]
        for budget in budgets:
            arguments += (budget.window_seconds, _account(budget.unit, budget.name))
        lists = await self._run(self._balances, [self._deadlines], arguments)
        found = [
            Balance(
                budget=budget.name,
                owner=one[i].decode(),
                unit=budget.unit,
                limit=budget.limit,
                settled=int(one[i + 1]),
                held=int(one[i + 2]),
                window_ends_in_seconds=one[0] / MICROSECONDS,
            )
            for budget, one in zip(budgets, lists, strict=True)
            for i in range(1, len(one), 3)
        ]
        return sorted(found, key=lambda balance: (balance.budget, balance.owner))

    async def slots_held(self, names: Sequence[str]) -> dict[str, int]:
        """See ``Ledger.slots_held``."""
        if not names:
            return {}
        counts = await self._run(self._slots, [self._slot_key(name) for name in names], [])
        return dict(zip(names, counts, strict=True))

    def _keys(self, claim: Claim) -> tuple[str, str]:
        return self._deadlines, f"{self._stem}reservation:{claim.id}"

    def _slot_key(self, name: str) -> str:
        return f"{self._stem}slots:{name}"

    async def _run(self, script: "_Script", keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:  # noqa: ANN401 - a reply is what its script makes it
        try:
            try:
                return await self._batch.execute("EVALSHA", script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._batch.execute("EVAL", script.text, len(keys), *keys, *arguments)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "_Script":
        # The store itself names a script by its SHA-1.
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _text(name: str) -> str:
    return resources.files("gateway.budget").joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8")


def _account(unit: str, budget: str) -> str:
    return f"{unit}:{len(budget.encode())}:{budget}"


def _unavailable(error: Exception) -> StoreUnavailable:
    """What to tell the caller; the client's own messages name hosts, never passwords."""
    answered = isinstance(error, ResponseError)
    what = "refused a command" if answered else "cannot be reached or does not answer"
    return StoreUnavailable(
        f"The store that keeps budgets and slots {what} ({type(error).__name__}: {error}).",
        retry_after_seconds=5.0 if answered else 1.0,
    )
