"""Tiers that somebody will need soon, told ahead of the requests: those that sleep are woken, once for all."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from gateway.exchange import Caller

TIERS_MAX: Final = 64
"""Tiers that one announcement may name."""
NAME_LENGTH_MAX: Final = 256
Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]
State = Literal["awake", "never_sleeps", "woken", "waking", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What became of one tier that was announced.

    Attributes:
        name: As it was sent: a tier's name, or another one of its.
        tier: The tier's; empty where there is none.
        state: ``awake`` and ``never_sleeps``: nothing had to be done. ``woken``: a worker was sent for now. ``waking``:
            one was on its way. ``refused``: none was sent for.
        expected_seconds: How long it is until a worker is there.
        code: Why it was refused, as errors have it.
        message: The same for people.
    """

    name: str
    tier: str
    state: State
    expected_seconds: float = 0.0
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeDesk:
    """What the handler asks of the rest of the gateway.

    Attributes:
        authenticate: As ``gateway.api.Desk`` has it.
        announce: (caller, names, run) → what became of each, in their order.
    """

    authenticate: Callable[[bytes | None, bytes | None], Awaitable[Caller]]
    announce: Callable[[Caller, Sequence[str], str], Awaitable[list[Announced]]]

    async def caller(self, request: Request) -> Caller:
        """Whose key a request has; raises ``Unauthorized``."""
        headers = dict(request.scope["headers"])
        return await self.authenticate(headers.get(b"authorization"), headers.get(b"x-api-key"))


class Announcement(BaseModel):
    """The body: the tiers, and the run that will need them."""

    model_config = ConfigDict(extra="forbid")

    tiers: Annotated[list[Name], Field(min_length=1, max_length=TIERS_MAX)]
    run: Annotated[str, Field(max_length=NAME_LENGTH_MAX)] = ""


def add_wake(app: FastAPI, desk: WakeDesk) -> None:
    """Have ``app`` take announcements."""

    @app.post(
        "/tiergate/v1/wake",
        tags=["tiers"],
        summary="Announce tiers that a run will need soon: those that sleep are woken, once for all who need them",
        status_code=202,
        dependencies=[Depends(HTTPBearer(auto_error=False))],
        responses={202: {"content": {"application/json": {"example": _EXAMPLE}}}},
    )
    async def wake(body: Announcement, caller: Annotated[Caller, Depends(desk.caller)]) -> JSONResponse:
        told = await desk.announce(caller, body.tiers, body.run)
        data: list[dict[str, Any]] = [asdict(each) for each in told]
        return JSONResponse({"object": "list", "data": data}, status_code=202)


_EXAMPLE: Final = {
    "object": "list",
    "data": [
        asdict(Announced(name="routing", tier="routing", state="awake")),
        asdict(Announced(name="reasoning", tier="reasoning", state="woken", expected_seconds=60.0)),
    ],
}
