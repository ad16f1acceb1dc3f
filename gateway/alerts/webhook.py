"""Posting to a webhook: one try."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import UpstreamFailed
from gateway.upstream.transport import Transport, UpstreamRequest, UpstreamResponse
from gateway.wire.header_lines import HeaderLines
from tiers.tiermap import Budget, SecretReference, TierMap, Timeouts

POST_SECONDS: Final = 10.0
"""How long one try may take, its connection included."""
ANSWER_BYTES_MAX: Final = 64 * 1024
TIMEOUTS: Final = Timeouts(connect=5.0, headers=POST_SECONDS, idle=POST_SECONDS, total=POST_SECONDS)
_HEADERS: Final = [HeaderLines([(b"content-type", b"application/json"), (b"user-agent", b"tiergate")])]
_TAKEN: Final = range(200, 300)

Connect = Callable[[str, Timeouts], Transport]
"""Makes the way to a base URL."""
Named = tuple[str, str]
"""A budget's name and unit: a name may stand for two of different units."""


class Undelivered(Exception):
    """A webhook did not take an alert; says why, and never the URL."""


async def post(url: str, body: bytes, connect: Connect) -> None:
    """Post ``body``, which is JSON. Any 2xx is success; redirections are not followed.

    Raises:
        Undelivered: Nobody answered in time, or not with success.
    """
    base, path = _apart(url)
    request = UpstreamRequest(method=b"POST", path=path, headers=_HEADERS, body=body)
    try:
        transport = connect(base, TIMEOUTS)
    except ValueError as error:
        raise Undelivered(str(error)) from error
    try:
        async with asyncio.timeout(POST_SECONDS):
            status = await _status(await transport.send(request))
    except UpstreamFailed as error:
        raise Undelivered(error.message) from error
    except TimeoutError as error:
        raise Undelivered(f"no answer within {POST_SECONDS:g} s") from error
    finally:
        await transport.aclose()
    if status not in _TAKEN:
        raise Undelivered(f"it answered with status {status}")


async def _status(response: UpstreamResponse) -> int:
    """The answer's status; the rest is read so that its sender can finish, and does not matter."""
    try:
        with suppress(UpstreamFailed):
            await response.read(ANSWER_BYTES_MAX)
    finally:
        await response.aclose()
    return response.status


def _apart(url: str) -> tuple[str, bytes]:
    """The base URL and what is asked for there. Joined as endpoints' are, where ``/v1`` is taken off and put back."""
    parts = urlsplit(url)
    path = parts.path or "/"
    return f"{parts.scheme}://{parts.netloc}/v1", (f"{path}?{parts.query}" if parts.query else path).encode()


def webhooks_of(tier_map: TierMap, known: Mapping[SecretReference, str]) -> dict[Named, str]:
    """Budget with alerts → the URL that they go to; ``known`` holds the secrets."""
    return dict(_webhooks(tier_map.budgets, known))


def _webhooks(budgets: tuple[Budget, ...], known: Mapping[SecretReference, str]) -> Iterator[tuple[Named, str]]:
    for budget in budgets:
        if budget.alerts is not None:
            webhook = budget.alerts.webhook
            yield (budget.name, budget.unit), webhook if isinstance(webhook, str) else known[webhook]
