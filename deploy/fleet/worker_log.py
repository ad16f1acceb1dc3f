"""A worker's log, which Runpod sends as a stream of events without an end."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping

import httpx

from deploy.fleet.errors import ControlPlaneLost, ControlPlaneMissing

_NOT_FOUND = 404


async def read_lines(
    client: httpx.AsyncClient, url: str, query: Mapping[str, str], *, lines_max: int, quiet_seconds: float
) -> tuple[str, ...]:
    """The last ``lines_max`` lines; the stream is left when nothing came for ``quiet_seconds``.

    Raises:
        ControlPlaneMissing: There is no such worker any more.
        ControlPlaneLost: The log could not be read.
    """
    remedy = "look into the console: Serverless, the endpoint, its workers, Logs"
    lines: deque[str] = deque(maxlen=lines_max)
    try:
        async with client.stream("GET", url, params=dict(query), headers={"accept": "text/event-stream"}) as answer:
            if answer.status_code == _NOT_FOUND:
                raise ControlPlaneMissing(f"GET {url}: no such worker", remedy=remedy, http_status=_NOT_FOUND)
            if not answer.is_success:
                raise ControlPlaneLost(
                    f"GET {url}: status {answer.status_code}", remedy=remedy, http_status=answer.status_code
                )
            told = answer.aiter_lines()
            while (line := await _next(told, quiet_seconds)) is not None:
                if line.startswith("data:"):
                    lines.append(_text(line.removeprefix("data:").strip()))
    except httpx.HTTPError as error:
        raise ControlPlaneLost(f"GET {url}: no answer ({type(error).__name__})", remedy=remedy) from error
    return tuple(lines)


async def _next(told: AsyncIterator[str], quiet_seconds: float) -> str | None:
    """The next line, or ``None`` where there is none, or none for now."""
    try:
        async with asyncio.timeout(quiet_seconds):
            return await anext(told)
    except (TimeoutError, StopAsyncIteration):
        return None


def _text(data: str) -> str:
    """The line itself; events hold it as JSON with its moment."""
    try:
        event = json.loads(data)
    except json.JSONDecodeError:
        return data
    return (
        str(next((event[key] for key in ("message", "line", "text") if key in event), data))
        if isinstance(event, dict)
        else str(event)
    )
