"""What was used, and how budgets are: a caller sees its own requests, the holder of the admin key sees all."""

import asyncio
import difflib
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict

from gateway.budget.ledger import Ledger
from gateway.errors import BudgetNotFound, InvalidRequest
from gateway.exchange import Caller, Clock
from gateway.usage.explained import REFUSALS_SHOWN_MAX, Refusal, explained
from gateway.usage.printed import printed
from gateway.usage.question import FILTERS, SINCE, Question, QuestionInvalid, read_question
from gateway.usage.tally import Tally
from tiers.tiermap import Budget

REFUSALS_LOOKED_AT_MAX: Final = 20_000
"""Records that are looked at for refusals, from the newest back."""
_CONTENT: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
Pages = Callable[[], AsyncIterator[list[bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDesk:
    """What these handlers ask of the rest of the gateway.

    Attributes:
        authenticate: As ``gateway.api.Desk`` has it.
        admin_digest: SHA-256 of the admin key in hex; empty where there is none.
        flush: Writes the records that this process was given.
        pages: The records as JSON, from the newest back.
        budgets: Those of the tier map.
    """

    authenticate: Callable[[bytes | None, bytes | None], Awaitable[Caller]]
    admin_digest: str = field(repr=False)
    flush: Callable[[], Awaitable[None]]
    pages: Pages
    ledger: Ledger
    budgets: Callable[[], Sequence[Budget]]
    clock: Clock
    one: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One question looks at the records at a time: however many are asked, requests have most of the process."""

    async def caller(self, request: Request) -> Caller | None:
        """Whose key a request has, ``None`` for the admin key; raises ``Unauthorized``."""
        headers = dict(request.scope["headers"])
        authorization: bytes | None = headers.get(b"authorization")
        if self.admin_digest and authorization is not None:
            scheme, _, key = authorization.partition(b" ")
            sent = hashlib.sha256(key.strip()).hexdigest()
            if scheme.lower() == b"bearer" and hmac.compare_digest(sent, self.admin_digest):
                return None
        return await self.authenticate(authorization, headers.get(b"x-api-key"))

    async def count(self, question: Question) -> list[dict[str, Any]]:
        """The groups that a question asks for. Raises ``StoreUnavailable``."""
        tally = Tally(question)
        async with self.one:
            await self.flush()
            async for page in self.pages():
                tally.add(page)
        return tally.rows()

    async def explain(self, name: str, owner: str | None, caller: Caller | None) -> list[dict[str, Any]]:
        """The budgets of that name; raises ``BudgetNotFound`` and ``StoreUnavailable``."""
        known = [*self.budgets(), *(() if caller is None else caller.budgets)]
        found = [budget for budget in known if budget.name == name]
        if not found:
            near = difflib.get_close_matches(name, sorted({budget.name for budget in known}))
            said = f" Near it: {', '.join(near)}." if near else " GET /tiergate/v1/budgets lists them."
            raise BudgetNotFound(f"There is no budget called {name!r}.{said}", param="name")
        now = self.clock.unix()
        balances = await self.ledger.balances(found)
        told = []
        for budget in found:
            own = [each for each in balances if (each.budget, each.unit) == (budget.name, budget.unit)]
            holdings = await self.ledger.holdings(budget)
            told.append(explained(budget, own, holdings, owner=owner, now_unix=now))
        return told

    async def refusals(self, name: str, caller: Caller | None) -> list[dict[str, Any]]:
        """The latest requests that the budget refused, newest first; a caller's are its own."""
        decode, refusals, looked_at = msgspec.json.Decoder(Refusal).decode, list[dict[str, Any]](), 0
        async with self.one:
            await self.flush()
            async for page in self.pages():
                for record in map(decode, page):
                    if record.refused_by == name and (caller is None or record.key == caller.name):
                        refusals.append(msgspec.to_builtins(record))
                looked_at += len(page)
                if len(refusals) >= REFUSALS_SHOWN_MAX or looked_at >= REFUSALS_LOOKED_AT_MAX:
                    break
        return refusals[:REFUSALS_SHOWN_MAX]


class Asked(BaseModel):
    """The query of ``GET /tiergate/v1/usage``."""

    model_config = ConfigDict(extra="forbid")

    by: str = "tier"
    since: str = SINCE
    until: str | None = None
    key: str | None = None
    team: str | None = None
    agent: str | None = None
    tier: str | None = None
    run: str | None = None
    format: Literal["json", "csv", "jsonl", "table"] | None = None


def add_usage(app: FastAPI, desk: UsageDesk) -> None:
    """Have ``app`` serve them."""
    known, bearer = Depends(desk.caller), Depends(HTTPBearer(auto_error=False))

    @app.get(
        "/tiergate/v1/usage",
        tags=["usage"],
        summary="What was used, counted by tier, agent and the like",
        dependencies=[bearer],
        responses={200: {"content": {"application/json": {"example": _USAGE_EXAMPLE}, "text/csv": {}}}},
    )
    async def usage(
        request: Request, caller: Annotated[Caller | None, known], asked: Annotated[Asked, Query()]
    ) -> Response:
        only = {name: getattr(asked, name) for name in FILTERS} | {"key": _own(asked.key, caller)}
        try:
            question = read_question(
                by=asked.by, since=asked.since, until=asked.until, only=only, now_unix=desk.clock.unix()
            )
        except QuestionInvalid as error:
            raise InvalidRequest(f"{error}.", param=error.param) from error
        rows = await desk.count(question)
        form = asked.format or ("csv" if "text/csv" in request.headers.get("accept", "") else "json")
        if form != "json":
            return Response(
                printed(question.by, rows, form), media_type=_CONTENT.get(form, "text/plain; charset=utf-8")
            )
        span = {"since_unix": question.since_unix, "until_unix": question.until_unix, "by": list(question.by)}
        return JSONResponse({"object": "list", **span, "data": rows})

    @app.get(
        "/tiergate/v1/budgets/{name}",
        tags=["usage"],
        summary="One budget: what is left, which requests hold it until when, and whom it refused",
        dependencies=[bearer],
        responses={200: {"content": {"application/json": {"example": _BUDGET_EXAMPLE}}}},
    )
    async def budget(name: str, caller: Annotated[Caller | None, known], owner: str | None = None) -> dict[str, Any]:
        told = await desk.explain(name, owner, caller)
        return {"object": "list", "data": told, "refusals": await desk.refusals(name, caller)}


def _own(key: str | None, caller: Caller | None) -> str | None:
    """The key whose requests are counted; raises ``InvalidRequest`` where they are somebody else's."""
    if caller is None:
        return key
    if key not in {None, caller.name}:
        raise InvalidRequest("key: a key sees its own requests only; the admin key sees all.", param="key")
    return caller.name


_USAGE_EXAMPLE: Final = {
    "object": "list",
    "since_unix": 1795388400.0,
    "until_unix": None,
    "by": ["agent", "tier"],
    "data": [
        {
            "agent": "writer",
            "tier": "reasoning",
            "requests": 120,
            "refused": 2,
            "failed": 1,
            "input_tokens": 84000,
            "output_tokens": 31000,
            "cached_tokens": 12000,
            "reasoning_tokens": 9000,
            "gpu_seconds": "310.250000",
            "cost_microdollars": 96178,
            "cost_usd": "0.096178",
            "ttft_p50_seconds": 0.42,
            "ttft_p95_seconds": 1.31,
            "queue_delay_p50_seconds": 0.000001,
            "queue_delay_p95_seconds": 0.2,
            "worker_delay_p50_seconds": None,
            "worker_delay_p95_seconds": None,
        }
    ],
}
_BUDGET_EXAMPLE: Final = {
    "object": "list",
    "data": [
        {
            "budget": "daily",
            "unit": "USD",
            "limit": 5000000,
            "limit_exact": "5.000000",
            "spent_policy": "reject",
            "window": {"kind": "calendar", "seconds": 86400, "zone": "Europe/Berlin", "begins_unix": 1795388400},
            "owners": [{"owner": "writer", "settled": 4990000, "held": 9000, "available": 1000}],
            "holdings": [{"claim": "req_1-1", "owner": "writer", "amount": 9000, "until_unix": 1795400000.0}],
        }
    ],
    "refusals": [{"request_id": "req_2", "received_unix": 1795399990.0, "key": "demo", "agent": "writer"}],
}
