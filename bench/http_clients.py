"""One client's CPU time per request: ``http_clients.py CLIENT URL AUTHORITY BODY COUNT TOGETHER``.

Runs in the gateway's environment, as a process of its own. Each request is answered to its end before the next one of
its worker; a warm-up goes ahead of the measurement.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # behind the environment's own packages

import uvloop

from bench.client_kinds import Client, connect

WARM_SHARE = 0.1


async def main(arguments: list[str]) -> None:
    """Measure and print one line of JSON."""
    kind, url, authority, body, *numbers = arguments
    count, together = map(int, numbers)
    content = await asyncio.to_thread(Path(body).read_bytes)
    client = await connect(kind, url, Path(authority))
    try:
        await _all(client, content, max(together, round(count * WARM_SHARE)), together)
        began, used = time.monotonic(), time.process_time()
        size = await _all(client, content, count, together)
        cpu, passed = time.process_time() - used, time.monotonic() - began
    finally:
        await client.aclose()
    found = {
        "n": count,
        "cpu_us": round(cpu / count * 1e6, 1),
        "rps": round(int(count) / passed, 1),
        "bytes_per_answer": round(size / count),
    }
    print(json.dumps(found))


async def _all(client: Client, content: bytes, count: int, together: int) -> int:
    """``count`` requests, ``together`` at a time; the bytes of all answers."""
    left, size = iter(range(count)), 0

    async def worker() -> None:
        nonlocal size
        for _ in left:
            answered = await client.post(content)  # read before the sum is: others add to it meanwhile
            size += answered

    async with asyncio.TaskGroup() as group:
        for _ in range(together):
            group.create_task(worker())
    return size


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
