"""Runpod's bill beside what was seen of it, for the holder of the admin key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict

from gateway.errors import InvalidRequest, RouteNotServed, UpstreamFailed
from gateway.exchange import Clock
from gateway.gpu_seconds.reconciliation import DAY_SECONDS, DAYS_MAX, Reconciliation, end_of_day, midnight, of_tier
from gateway.gpu_seconds.runpod_bill import BillUnreadable
from gateway.gpu_seconds.statement import printed, shown
from gateway.usage.question import SINCE, QuestionInvalid, moment_of

_CONTENT: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BillDesk:
    """What these handlers ask of the rest of the gateway.

    Attributes:
        admin: As ``gateway.admin_api.AdminDesk`` has it: what the whole account costs is no caller's business.
        reconciliation: ``None`` where the gateway has no key of Runpod's.
    """

    admin: Callable[[Request], Awaitable[Any]]
    reconciliation: Reconciliation | None
    clock: Clock


class Asked(BaseModel):
    """The query of ``GET /tiergate/v1/bill``."""

    model_config = ConfigDict(extra="forbid")

    since: str = SINCE
    until: str | None = None
    tier: str | None = None
    format: Literal["json", "csv", "jsonl", "table"] = "json"


def add_bill(app: FastAPI, desk: BillDesk) -> None:
    """Have ``app`` serve the bill."""

    @app.get(
        "/tiergate/v1/bill",
        tags=["usage"],
        summary="Runpod's bill beside what was seen of it, by day, endpoint and tier",
        dependencies=[Depends(desk.admin), Depends(HTTPBearer(auto_error=False))],
        responses={200: {"content": {"application/json": {"example": _EXAMPLE}, "text/csv": {}}}},
    )
    async def bill(asked: Annotated[Asked, Query()]) -> Response:
        if desk.reconciliation is None:
            raise RouteNotServed("The gateway was given no key of Runpod's (--runpod-key), so it reads no bill.")
        now = desk.clock.unix()
        since, until = _span(asked, now)
        try:
            lines = of_tier(await desk.reconciliation.lines(since, until), asked.tier)
        except BillUnreadable as error:
            raise UpstreamFailed(f"{error}.") from error
        if asked.format != "json":
            content = _CONTENT.get(asked.format, "text/plain; charset=utf-8")
            return Response(printed(lines, asked.format), media_type=content)
        span = {"since_unix": midnight(since), "until_unix": end_of_day(now if until is None else until)}
        return JSONResponse({"object": "list", **span, "data": shown(lines)})


def _span(asked: Asked, now: float) -> tuple[float, float | None]:
    try:
        since = moment_of("since", asked.since, now)
        until = None if asked.until is None else moment_of("until", asked.until, now)
    except QuestionInvalid as error:
        raise InvalidRequest(f"{error}.", param=error.param) from error
    if since < now - DAYS_MAX * DAY_SECONDS:
        raise InvalidRequest(f"since: books are kept for {DAYS_MAX} days.", param="since")
    if since >= (now if until is None else until):
        raise InvalidRequest("since: is not before until, or now.", param="since")
    return since, until


_EXAMPLE: Final = {
    "object": "list",
    "since_unix": 1795392000.0,
    "until_unix": 1795478400.0,
    "data": [
        {
            "day": "2026-11-23",
            "tier": "reasoning",
            "endpoint": "abc123",
            "attributed_seconds": 310.25,
            "starting_seconds": 61.5,
            "idle_seconds": 40.0,
            "billed_seconds": 413.0,
            "unexplained_seconds": 1.25,
            "billed_usd": 0.31388,
            "unexplained_usd": 0.00095,
            "drift_percent": 0.303,
        }
    ],
}
