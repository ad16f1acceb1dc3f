"""What the local system asks over HTTP: whether they are ready, and what the gateway recorded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from deploy.errors import GatewayUnreadable, NotReady
from deploy.local.answers import Balance, BalanceList, CallList, CallRecord
from deploy.local.processes import log_tail

RECORDS_MAX = 1000
_REQUEST_SECONDS_MAX = 10.0
_PROBE_SECONDS_MAX = 2.0
_POLL_SECONDS = 0.05
_OK = 200

_Body = TypeVar("_Body", bound=BaseModel)


class Waited(Protocol):
    """A child that somebody waits for."""

    name: str
    log: Path
    started_at: float


@asynccontextmanager
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    """A client for addresses of this machine: proxies of the environment are not asked."""
    async with httpx.AsyncClient(trust_env=False, timeout=_REQUEST_SECONDS_MAX) as client:
        yield client


async def wait_ready(
    client: httpx.AsyncClient,
    child: Waited,
    url: str,
    *,
    seconds_max: float,
    say: Callable[[str], None],
    reminder_seconds: float = 10.0,
) -> float:
    """Wait until ``url`` answers 200; returns the seconds that it took since the child's start.

    ``say`` hears every ``reminder_seconds`` that the wait goes on.

    Raises:
        NotReady: It did not within ``seconds_max``; says what it answered last.
    """
    clock = asyncio.get_running_loop().time
    started = child.started_at
    reminder = started + reminder_seconds
    seen = "nothing"
    while clock() - started < seconds_max:
        try:
            answer = await client.get(url, timeout=_PROBE_SECONDS_MAX)
        except httpx.HTTPError as error:
            seen = f"nothing ({type(error).__name__})"
        else:
            if answer.status_code == _OK:
                return clock() - started
            seen = f"status {answer.status_code}: {answer.text[:200]}"
        if clock() >= reminder:
            say(f"{child.name}: still waiting after {clock() - started:.0f} s; log: {child.log}")
            reminder += reminder_seconds
        await asyncio.sleep(_POLL_SECONDS)
    raise NotReady(
        f"{child.name} was not ready within {seconds_max:g} s: {url} last answered {seen}",
        remedy=f"its log {child.log} says what it is doing; on a slow or busy machine try again",
        log_tail=log_tail(child.log),
    )


class GatewayRecords:
    """The gateway's own records, as the holder of a key may read them.

    Every method raises ``GatewayUnreadable`` where the gateway does not answer as agreed.
    """

    def __init__(self, client: httpx.AsyncClient, *, origin: str, key: str) -> None:
        self._client = client
        self._origin = origin
        self._headers = {"authorization": f"Bearer {key}"}

    async def calls(self, run: str) -> tuple[CallRecord, ...]:
        """Every LLM call of one run, the latest last; at most the last 1000."""
        query = {"run": run, "limit": str(RECORDS_MAX)}
        return (await self._get("/tiergate/v1/requests", CallList, query)).data

    async def balances(self) -> tuple[Balance, ...]:
        """What is left of every budget."""
        return (await self._get("/tiergate/v1/budgets", BalanceList, {})).data

    async def _get(self, path: str, body: type[_Body], query: dict[str, str]) -> _Body:
        url = f"{self._origin}{path}"
        remedy = "the gateway's log says more; gateway and tiergate-deploy must be of the same version"
        try:
            answer = await self._client.get(url, params=query, headers=self._headers)
        except httpx.HTTPError as error:
            raise GatewayUnreadable(f"GET {url} failed: {type(error).__name__}", remedy=remedy) from error
        if answer.status_code != _OK:
            raise GatewayUnreadable(f"GET {url} answered {answer.status_code}: {answer.text[:200]}", remedy=remedy)
        try:
            return body.model_validate_json(answer.content)
        except ValidationError as error:
            raise GatewayUnreadable(f"GET {url} answered in an unknown form: {error}", remedy=remedy) from error
