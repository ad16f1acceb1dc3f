"""The admin API: virtual keys, the audit log, the tier map's reload. It has a credential of its own, or is off."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
from fastapi import Body, Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer

from gateway.errors import RouteNotServed, StoreUnavailable, Unauthorized
from gateway.keys.office import ADMIN, GRACE_SECONDS, GRACE_SECONDS_MAX, Asker, Office
from gateway.keys.secret import looks_like_one
from gateway.served import Outcome

AUDIT_SHOWN_MAX: Final = 10_000
WRONG_SECONDS: Final = 0.5
"""How long somebody with a wrong key waits for the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminDesk:
    """What the admin's handlers ask of the rest of the gateway.

    Attributes:
        digest: SHA-256 of the admin key in hex; empty where there is none, and the admin API is off.
        port: The only one at which it is served; 0 for any.
    """

    digest: str = field(repr=False)
    port: int
    office: Office
    reload: Callable[[], Awaitable[Outcome]]
    report: Callable[..., None]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def admin(self, request: Request) -> Asker:
        """The holder of the admin key.

        Raises:
            RouteNotServed: There is none.
            Unauthorized: It is somebody else, who was made to wait.
        """
        sent = self._sent(request)
        # Digests, and compared in constant time: how long it takes says nothing about the key.
        if not hmac.compare_digest(hashlib.sha256(sent).hexdigest(), self.digest):
            return await self._refuse(request)
        return Asker(by=ADMIN, source=_source(request))

    async def maker(self, request: Request) -> Asker:
        """The same, or a virtual key that may make keys. Raises ``StoreUnavailable``."""
        sent = self._sent(request)
        if hmac.compare_digest(hashlib.sha256(sent).hexdigest(), self.digest):
            return Asker(by=ADMIN, source=_source(request))
        if looks_like_one(sent):
            found = await self.office.asker(self.office.kept(sent.decode()), _source(request))
            if found is not None:
                return found
        return await self._refuse(request)

    async def reloaded(self, asker: Asker) -> Outcome:
        """Read the tier map's file again, and note it."""
        outcome = await self.reload()
        try:
            await self.office.note("tier_map.reload", asker, {"result": outcome.result, "hash": outcome.hash})
        except StoreUnavailable as error:
            self.report("audit.lost", by=asker.by, source=asker.source, what="tier_map.reload", message=error.message)
        return outcome

    def _sent(self, request: Request) -> bytes:
        if not self.digest:
            raise RouteNotServed("Nobody may change what is served: the gateway has no admin key.")
        # The socket's own port, whatever the request says of its host.
        if self.port and request.scope["server"][1] != self.port:
            raise RouteNotServed("The admin API is not served at this address.")
        header: bytes = dict(request.scope["headers"]).get(b"authorization", b"")
        scheme, _, key = header.partition(b" ")
        return key.strip() if scheme.lower() == b"bearer" else b""

    async def _refuse(self, request: Request) -> Asker:
        self.report("admin.refused", source=_source(request), path=request.scope["path"][:200])
        await self.sleep(WRONG_SECONDS)
        raise Unauthorized("This takes the gateway's admin key, as 'Authorization: Bearer KEY'.")


def add_admin(app: FastAPI, desk: AdminDesk) -> None:
    """Have ``app`` serve the admin API."""
    bearer = Depends(HTTPBearer(auto_error=False))
    admin, maker = Depends(desk.admin), Depends(desk.maker)

    @app.post(
        "/tiergate/v1/tier-map/reload",
        tags=["operations"],
        summary="Read the tier map's file again and serve it",
        dependencies=[bearer],
    )
    async def reload(asker: Annotated[Asker, admin]) -> JSONResponse:
        outcome = await desk.reloaded(asker)
        return JSONResponse(msgspec.to_builtins(outcome), status_code=422 if outcome.result == "rejected" else 200)

    @app.get("/tiergate/v1/audit", tags=["keys"], summary="The latest changes", dependencies=[bearer])
    async def audit(
        asker: Annotated[Asker, admin], limit: Annotated[int, Query(ge=1, le=AUDIT_SHOWN_MAX)] = 100
    ) -> dict[str, Any]:
        del asker
        return await desk.office.audit(limit)

    _add_keys(app, desk.office, maker, bearer)


def _add_keys(app: FastAPI, office: Office, maker: Any, bearer: Any) -> None:  # noqa: ANN401 - FastAPI's own
    path, one = "/tiergate/v1/keys", "/tiergate/v1/keys/{key}"

    @app.post(path, tags=["keys"], summary="Make a virtual key", dependencies=[bearer], status_code=201)
    async def create(asker: Annotated[Asker, maker], body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        key, secret = await office.create(body, asker)
        return key.shown() | {"key": secret}

    @app.get(path, tags=["keys"], summary="Virtual keys", dependencies=[bearer])
    async def listed(asker: Annotated[Asker, maker]) -> dict[str, Any]:
        return {"object": "list", "data": [key.shown() for key in await office.list(asker)]}

    @app.get(one, tags=["keys"], summary="One virtual key", dependencies=[bearer])
    async def show(key: str, asker: Annotated[Asker, maker]) -> dict[str, Any]:
        return (await office.show(key, asker)).shown()

    @app.delete(one, tags=["keys"], summary="Revoke a virtual key, and those it made", dependencies=[bearer])
    async def revoke(key: str, asker: Annotated[Asker, maker]) -> dict[str, Any]:
        return (await office.revoke(key, asker)).shown()

    @app.post(one + "/rotate", tags=["keys"], summary="Give it another secret", dependencies=[bearer])
    async def rotate(
        key: str,
        asker: Annotated[Asker, maker],
        grace_seconds: Annotated[float, Query(ge=0, le=GRACE_SECONDS_MAX)] = GRACE_SECONDS,
    ) -> dict[str, Any]:
        rotated, secret = await office.rotate(key, asker, grace_seconds=grace_seconds)
        return rotated.shown() | {"key": secret}


def _source(request: Request) -> str:
    return "" if request.client is None else request.client.host
