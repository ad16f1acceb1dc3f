"""The emulator's own API: faults on demand, its clock, its whole state. No key: it is for whoever runs it.

    GET    /emulator/state                        the clock, and every endpoint with its workers, jobs and bill
    GET    /emulator/endpoints/{id}/faults        what is switched on
    PATCH  /emulator/endpoints/{id}/faults        switch some on or off
    DELETE /emulator/endpoints/{id}/faults        switch all off
    POST   /emulator/clock                        {"speed": 10} or {"advance": 60}, or both
    PATCH  /emulator/accounts/{id}                {"balanceUsd": 50, "quotaWorkers": 5, "spendLimitUsdPerHour": 80}

Every answer is JSON.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.clock import SPEED_MAX, EmulatedClock
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.errors import UnknownEndpoint
from deploy.emulator.model.faults import ColdBody, FailureShape, Faults, Operation
from deploy.emulator.model.world import World


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class FaultsBody(_Body):
    """The fields of ``Faults`` that are to change."""

    no_capacity: bool = False
    crash_loop: bool = False
    pull_seconds: float | None = Field(default=None, ge=0)
    load_seconds: float | None = Field(default=None, ge=0)
    status: int | None = Field(default=None, ge=400, le=599)
    reset: bool = False
    silence: bool = False
    cut_after: int | None = Field(default=None, ge=0)
    garble_every: int | None = Field(default=None, ge=1)
    split_characters: bool = False
    piece_bytes: int | None = Field(default=None, ge=1)
    engine_status: int | None = Field(default=None, ge=400, le=599)
    stuck_jobs: bool = False
    crash_in_job: bool = False
    remaining: int | None = Field(default=None, ge=0)
    operation: Operation | None = None
    cold_body: ColdBody = "timed_out"
    failed_openai: FailureShape = "status_500"


class ClockBody(_Body):
    """How to move the clock: first forward, then at another speed."""

    advance: float = Field(default=0.0, ge=0)
    speed: float | None = Field(default=None, ge=0, le=SPEED_MAX)


class AccountBody(_Body):
    """The account's figures that are to change."""

    balance_usd: float | None = Field(default=None, ge=0)
    quota_workers: int | None = Field(default=None, ge=0)
    spend_limit_usd_per_hour: float | None = Field(default=None, ge=0)


class Admin:
    """Serves it."""

    def __init__(self, world: World, clock: EmulatedClock) -> None:
        self._world = world
        self._clock = clock

    def routes(self) -> list[Route]:
        """Where its operations are."""
        faults = "/emulator/endpoints/{endpoint_id}/faults"
        return [
            Route("/emulator/state", self._state, methods=["GET"]),
            Route(faults, self._read_faults, methods=["GET"]),
            Route(faults, _told(self._change_faults), methods=["PATCH"]),
            Route(faults, _told(self._clear_faults), methods=["DELETE"]),
            Route("/emulator/clock", _told(self._move_clock), methods=["POST"]),
            Route("/emulator/accounts/{account_id}", _told(self._change_account), methods=["PATCH"]),
        ]

    async def _state(self, _request: Request) -> Response:
        now = self._clock.now()
        self._world.refresh(now)
        accounts = [
            {
                "id": account.id,
                "balanceUsd": account.balance_usd,
                "spentUsd": self._world.bill(account.id, now).dollars,
                "workersMax": account.workers_max,
            }
            for account in self._world.accounts.values()
        ]
        endpoints = [self._told_endpoint(endpoint, now) for endpoint in self._world.endpoints.values()]
        clock = {"now": now, "speed": self._clock.speed}
        return JSONResponse({"clock": clock, "accounts": accounts, "endpoints": endpoints})

    async def _read_faults(self, request: Request) -> Response:
        endpoint = self._world.endpoints.get(request.path_params["endpoint_id"])
        if endpoint is None:
            return JSONResponse({"error": "there is no such endpoint"}, status_code=404)
        return JSONResponse(_told_faults(endpoint.faults))

    async def _change_faults(self, request: Request) -> Response:
        asked = FaultsBody.model_validate_json(await request.body())
        endpoint = self._world.endpoint(request.path_params["endpoint_id"])
        changed = {name: getattr(asked, name) for name in asked.model_fields_set}
        self._world.set_faults(endpoint.id, replace(endpoint.faults, **changed), self._clock.now())
        return JSONResponse(_told_faults(endpoint.faults))

    async def _clear_faults(self, request: Request) -> Response:
        endpoint = self._world.endpoint(request.path_params["endpoint_id"])
        self._world.set_faults(endpoint.id, Faults(), self._clock.now())
        return JSONResponse(_told_faults(endpoint.faults))

    async def _move_clock(self, request: Request) -> Response:
        asked = ClockBody.model_validate_json(await request.body())
        if asked.advance:
            self._clock.advance(asked.advance)
        if asked.speed is not None:
            self._clock.set_speed(asked.speed)
        self._world.refresh(self._clock.now())
        return JSONResponse({"now": self._clock.now(), "speed": self._clock.speed})

    async def _change_account(self, request: Request) -> Response:
        asked = AccountBody.model_validate_json(await request.body())
        account = self._world.accounts.get(request.path_params["account_id"])
        if account is None:
            return JSONResponse({"error": "there is no such account"}, status_code=404)
        for name in asked.model_fields_set:
            setattr(account, name, getattr(asked, name))
        self._world.refresh(self._clock.now())
        return JSONResponse({"id": account.id, "balanceUsd": account.balance_usd, "workersMax": account.workers_max})

    def _told_endpoint(self, endpoint: Endpoint, now: float) -> dict[str, Any]:
        bill = self._world.ledger.bill(now, endpoint_id=endpoint.id)
        return {
            "id": endpoint.id,
            "name": endpoint.config.name,
            "type": endpoint.config.type,
            "version": endpoint.version,
            "health": endpoint.health(),
            "faults": _told_faults(endpoint.faults),
            "billedSeconds": bill.seconds,
            "costUsd": bill.dollars,
            "workers": [
                {
                    "id": worker.id,
                    "state": worker.state.value,
                    "since": worker.since,
                    "serving": worker.serving,
                    "version": worker.version,
                    "gpuTypeId": worker.machine.gpu_type_id,
                    "jobs": len(worker.jobs),
                    "requests": worker.requests,
                }
                for worker in endpoint.workers.values()
            ],
        }


def _told_faults(faults: Faults) -> dict[str, Any]:
    return {to_camel(name): value for name, value in asdict(faults).items()}


def _told(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose refusals are answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except UnknownEndpoint:
            return JSONResponse({"error": "there is no such endpoint"}, status_code=404)
        except ValidationError as invalid:
            problems = [{"at": list(error["loc"]), "problem": error["msg"]} for error in invalid.errors()]
            return JSONResponse({"error": problems}, status_code=422)

    return answer
