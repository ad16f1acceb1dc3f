"""All records that the store keeps, page by page, for questions that look at every one."""

from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.store.resp import unavailable
from gateway.telemetry.records import BATCH_MAX, PAGE_RECORDS, stream_of


async def record_pages(client: Redis, *, prefix: str = "tiergate") -> AsyncIterator[list[bytes]]:
    """The records as JSON, each once, from the newest back, ``PAGE_RECORDS`` at a time at most.

    Those that are written meanwhile are not seen. Raises ``StoreUnavailable``.
    """
    # A write whose answer was lost is repeated, and the same bytes are the same request. Hashes are kept of them, since
    # there is one for every record.
    seen: set[int] = set()
    stream, newest = stream_of(prefix), b"+"
    while entries := await _read(client, stream, newest):
        page = []
        for _, fields in entries:
            for encoded in reversed(fields[b"record"].split(b"\n")):
                known = hash(encoded)
                if known not in seen:
                    seen.add(known)
                    page.append(encoded)
        yield page
        newest = b"(" + entries[-1][0]


async def _read(client: Redis, stream: bytes, newest: bytes) -> list[Any]:
    try:
        # Typed by the client for every protocol at once; in this one they are pairs of id and fields.
        entries: Any = await client.xrevrange(stream, max=newest, count=PAGE_RECORDS // BATCH_MAX)
    except (RedisError, OSError) as error:
        raise unavailable(error, keeps="records") from error
    return list(entries)
