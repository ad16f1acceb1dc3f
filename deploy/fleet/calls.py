"""Calls to Runpod's control plane over HTTP: how long they wait, when they are repeated, what a refusal means.

A call that changes nothing, or the same thing however often it is made, is repeated after a time-out, a lost
connection and a status of 500 and above. One that makes something is not: ``ControlPlaneLost`` says that nobody knows,
and who made the call has to look. Whatever was refused with 429 did nothing, and is repeated after its ``Retry-After``.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from deploy.fleet.errors import (
    ControlPlaneBusy,
    ControlPlaneConflict,
    ControlPlaneError,
    ControlPlaneLost,
    ControlPlaneMissing,
    ControlPlaneNoCapacity,
    ControlPlaneQuota,
    ControlPlaneRefused,
    ControlPlaneUnauthorized,
    ControlPlaneUnreadable,
)

CALL_SECONDS_MAX = 30.0
"""For a whole answer; Runpod checks an image's tag while one waits."""
TRIES_MAX = 4
BACKOFF_SECONDS = 0.5
"""Before the second try; doubled before each further one."""
PATIENCE_SECONDS = 180.0
"""How long one call waits for its turn in all. The minute's window is over by then, the hour's may not be."""
_TOO_MANY = 429
_SERVER_ERROR = 500

Sleep = Callable[[float], Awaitable[None]]


def client_of(key: str, *, seconds: float = CALL_SECONDS_MAX, trust_env: bool = True) -> httpx.AsyncClient:
    """A client that sends ``key``, a secret, with each call; who takes it closes it.

    ``trust_env`` is whether proxies of the environment are asked, which know nothing of this machine's own addresses.
    """
    headers = {"authorization": f"Bearer {key}", "accept": "application/json", "user-agent": "tiergate-deploy"}
    return httpx.AsyncClient(timeout=seconds, headers=headers, trust_env=trust_env)


class Calls:
    """Makes calls one after the other, each as often as it takes."""

    def __init__(
        self, client: httpx.AsyncClient, *, say: Callable[[str], None] = lambda _: None, sleep: Sleep = asyncio.sleep
    ) -> None:
        """``say`` hears of every wait of a second and more."""
        self._client = client
        self._say = say
        self._sleep = sleep

    async def ask(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        makes: bool = False,
    ) -> Any:  # noqa: ANN401 - JSON is whatever was sent
        """The answer's JSON, ``None`` where it has no body.

        Args:
            method: HTTP's.
            url: The whole address.
            body: Sent as JSON.
            query: What follows the question mark.
            makes: The call makes something, and another would make a second one.

        Raises:
            ControlPlaneError: See ``deploy.fleet.errors``; one that is ``ControlPlaneLost`` only where the call
                changes something.
        """
        waited, tries = 0.0, 0
        while True:
            tries += 1
            again = tries < TRIES_MAX
            try:
                answer = await self._client.request(method, url, json=body, params=query)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                # Nothing was sent yet.
                if not again:
                    raise _lost(method, url, f"no connection ({type(error).__name__})") from error
            except httpx.HTTPError as error:
                if makes or not again:
                    raise _lost(method, url, f"no answer ({type(error).__name__})") from error
            else:
                if answer.status_code == _TOO_MANY:
                    seconds = _retry_after(answer)
                    waited += seconds
                    if waited > PATIENCE_SECONDS:
                        raise _refusal(method, url, answer)
                    if seconds >= 1:
                        self._say(f"Runpod takes no more calls for {seconds:.0f} s; waiting")
                    await self._sleep(seconds)
                    tries -= 1
                    continue
                if answer.status_code < _SERVER_ERROR:
                    return _read(method, url, answer)
                if makes or not again:
                    raise _lost(method, url, f"status {answer.status_code}: {answer.text[:200]}", answer.status_code)
            await self._sleep(BACKOFF_SECONDS * 2 ** (tries - 1))


def _read(method: str, url: str, answer: httpx.Response) -> Any:  # noqa: ANN401 - as above
    if not answer.is_success:
        raise _refusal(method, url, answer)
    if not answer.content:
        return None
    try:
        return answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise unreadable(f"{method} {url}", answer.text[:200]) from error


def unreadable(what: str, seen: str) -> ControlPlaneUnreadable:
    """The error for an answer in another form than Runpod's."""
    return ControlPlaneUnreadable(
        f"{what} answered in an unknown form: {seen}",
        remedy="see that --runpod-url is Runpod's REST API, and that this Tiergate is the latest",
    )


def _retry_after(answer: httpx.Response) -> float:
    try:
        return max(0.0, float(answer.headers.get("retry-after", "1")))
    except ValueError:
        return 1.0


def _lost(method: str, url: str, what: str, status: int = 0) -> ControlPlaneLost:
    return ControlPlaneLost(
        f"{method} {url}: {what}",
        remedy="run the same command again: what was made is looked up before it is made again",
        http_status=status,
    )


def _refusal(method: str, url: str, answer: httpx.Response) -> ControlPlaneError:
    """The error for an answer that is none of success, with what Runpod says."""
    try:
        told = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        told = {}
    told = told if isinstance(told, dict) else {}
    detail = str(told.get("detail") or told.get("title") or answer.text[:200])
    errors = told.get("errors")
    kind = _kind(answer.status_code, detail.casefold())
    return kind(
        f"{method} {url}: status {answer.status_code}: {detail}",
        remedy=_REMEDIES[kind],
        http_status=answer.status_code,
        errors=[str(line) for line in errors] if isinstance(errors, list) else [],
    )


_REMEDIES: Mapping[type[ControlPlaneError], str] = {
    ControlPlaneUnauthorized: "check the key: it must be one of this account, and allowed to write",
    ControlPlaneMissing: "see with `tiergate-deploy plan` what is still there",
    ControlPlaneConflict: "rename one of the two",
    ControlPlaneBusy: "wait until the window that it names is over, then run the same command again",
    ControlPlaneNoCapacity: (
        "name more GPUs in `deploy.gpus` or more places in `data_centers`, or take the places out"
    ),
    ControlPlaneQuota: "lower `workers.max` of some endpoints, or have the account's quota raised",
    ControlPlaneRefused: "mend what it names in the tier map, then run the same command again",
}
_KINDS: Mapping[int, type[ControlPlaneError]] = {
    401: ControlPlaneUnauthorized,
    403: ControlPlaneUnauthorized,
    404: ControlPlaneMissing,
    409: ControlPlaneConflict,
    429: ControlPlaneBusy,
}


def _kind(status: int, detail: str) -> type[ControlPlaneError]:
    """What a refusal means. Runpod tells a lack of machines from a broken rule by words alone."""
    if "instances available" in detail:
        return ControlPlaneNoCapacity
    if "quota" in detail or "max workers" in detail:
        return ControlPlaneQuota
    return _KINDS.get(status, ControlPlaneRefused)
