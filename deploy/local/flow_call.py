"""One run of the Flow, through the load balancer behind which the orchestrator's app is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from pydantic import ValidationError

from deploy.local.answers import FlowResult
from deploy.local.emulator import KEY

RETRY_SECONDS = 2.0
_ACCEPTED, _BAD_REQUEST, _UNAVAILABLE = 202, 400, 503
_UNDER_WAY, _FAILED = ("queued", "running"), ("failed", "cancelled")
_COLD_WORDS = ("timed out waiting for worker", "no workers available")
"""A load balancer says HTTP 400 with one of these where no worker came within two minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEnd:
    """How a run ended: its result where it has one, and what went wrong, empty where nothing did."""

    result: FlowResult | None = None
    failure: str = ""


async def call_flow(
    client: httpx.AsyncClient,
    url: str,
    *,
    run: str,
    seconds_max: float,
    say: Callable[[str], None],
    retry_seconds: float = RETRY_SECONDS,
) -> FlowEnd:
    """Run the Flow at ``url`` as ``run``; asked again, after ``retry_seconds``, where no worker was there to
    take it.

    It never raises for what the Flow does: that is for the report.
    """
    try:
        async with asyncio.timeout(seconds_max):
            answer = await _answer(client, url, run)
            while _untaken(answer):
                say(f"flow: no worker took it yet ({answer.status_code}); asking again")
                await asyncio.sleep(retry_seconds)
                answer = await _answer(client, url, run)
            while answer.status_code == _ACCEPTED:
                answer = await _later(client, url, run)
    except TimeoutError:
        return FlowEnd(failure=f"the Flow took longer than {seconds_max:g} s")
    except httpx.HTTPError as error:
        return FlowEnd(failure=f"POST {url} failed: {type(error).__name__}")
    try:
        result = FlowResult.model_validate_json(answer.content)
    except ValidationError:
        result = None
    if result is None or not result.status:
        return FlowEnd(failure=f"the orchestrator answered {answer.status_code} without a result: {answer.text[:300]}")
    return FlowEnd(result=result, failure=f"the Flow failed: {result.reason}" if _failed(answer, result) else "")


async def _answer(client: httpx.AsyncClient, url: str, run: str) -> httpx.Response:
    return await client.post(url, json={"run": run}, headers={"authorization": f"Bearer {KEY}"}, timeout=None)


async def _later(client: httpx.AsyncClient, url: str, run: str) -> httpx.Response:
    """The run again, when it has ended, or is still under way after as long as one request may last."""
    address = f"{url.rpartition('/flows/')[0]}/runs/{run}"
    headers = {"authorization": f"Bearer {KEY}"}
    answer = await client.get(address, params={"wait_seconds": "300"}, headers=headers, timeout=None)
    under_way = answer.is_success and FlowResult.model_validate_json(answer.content).status in _UNDER_WAY
    return httpx.Response(_ACCEPTED) if under_way else answer


def _failed(answer: httpx.Response, result: FlowResult) -> bool:
    return not answer.is_success or result.status in _FAILED


def _untaken(answer: httpx.Response) -> bool:
    """Whether no worker has taken the request, so that nothing was begun."""
    cold = answer.status_code == _BAD_REQUEST and any(words in answer.text for words in _COLD_WORDS)
    return cold or answer.status_code == _UNAVAILABLE
