"""What stands before every route: the key, the rate limit, and the headers that tell of it.

Plain ASGI, since streams pass through it.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.emulator.control_plane.desk import Clock
from deploy.emulator.control_plane.problems import Problem
from deploy.emulator.control_plane.quota import WINDOWS, Quota, Window
from deploy.emulator.control_plane.rehearsal import Rehearsal
from deploy.emulator.model.account import Account
from deploy.emulator.model.world import World

TOO_MANY = 429
LOST = 504
OUTAGE_RETRY_SECONDS = 1


async def _unheard(message: Message) -> None:
    """Nobody hears the answer."""
    del message


class Guard:
    """Lets calls with a key through, as often as the account may call, and brings the world up to now before each."""

    def __init__(
        self, inner: ASGIApp, *, world: World, clock: Clock, rehearsal: Rehearsal, windows: tuple[Window, ...] = WINDOWS
    ) -> None:
        self._inner = inner
        self._world = world
        self._clock = clock
        self._rehearsal = rehearsal
        self._windows = windows
        self._quotas: dict[str, Quota] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        try:
            account = self._account(Headers(scope=scope))
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        now = self._clock.now()
        quota = self._quotas.setdefault(account.id, Quota(self._windows))
        verdict = quota.take(now)
        if verdict.exceeded:
            headers = {"Retry-After": str(verdict.retry_after), **verdict.headers}
            refusal = Problem(429, f"rate limit exceeded for the {verdict.exceeded} window", headers=headers)
            await refusal.response()(scope, receive, send)
            return
        if status := self._rehearsal.outage():
            headers = verdict.headers | ({"Retry-After": str(OUTAGE_RETRY_SECONDS)} if status == TOO_MANY else {})
            await Problem(status, "switched on by the emulator's own API", headers=headers).response()(
                scope, receive, send
            )
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(verdict.headers)
            await send(message)

        self._world.advance(now)
        scope.setdefault("state", {})["account"] = account
        if self._rehearsal.loses(scope["method"]):
            await self._inner(scope, receive, _unheard)
            lost = Problem(LOST, "the answer was lost, as the emulator's own API says", headers=verdict.headers)
            await lost.response()(scope, receive, send)
            return
        await self._inner(scope, receive, tell)

    def _account(self, headers: Headers) -> Account:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Problem(401, "missing bearer token")
        account = self._world.account_of(key.strip())
        if account is None:
            raise Problem(401, "invalid bearer token")
        return account
