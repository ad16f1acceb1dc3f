"""What processes tell each other through a store."""

import pytest
from redis.asyncio import Redis

from gateway.clock import SystemClock
from gateway.store.multiplexed import Multiplexed
from gateway.upstream.shared_health import AWAITED, UNUSED, USED, News, StoredHealth
from tests.stores import pass_store_time
from tiers.warmth import Sample

pytestmark = pytest.mark.integration
NEVER = float("-inf")
CLOCK = SystemClock()
NEAR = 0.5
"""How far times may be off here; on one machine it is milliseconds."""


def news(
    *,
    base: str = "e1",
    level: int = UNUSED,
    waiting: int = 0,
    worked_at: float = NEVER,
    sample: Sample | None = None,
    sampled_at: float = NEVER,
) -> News:
    """Of an endpoint of which nothing is known."""
    return News(base=base, level=level, waiting=waiting, worked_at=worked_at, sample=sample, sampled_at=sampled_at)


class Processes:
    """So many that share a store."""

    def __init__(self, commands: Multiplexed, prefix: str, *, lease_seconds: float = 30.0) -> None:
        self._made = [StoredHealth(commands, clock=CLOCK, prefix=prefix, lease_seconds=lease_seconds) for _ in range(3)]

    async def tell(self, process: int, *told: News, holds_seconds: float = 30.0) -> tuple[bool, list[News]]:
        """One of them tells."""
        return await self._made[process].exchange(told, holds_seconds=holds_seconds)

    async def hear(self, process: int, base: str = "e1", holds_seconds: float = 30.0) -> News:
        """What one of them hears of an endpoint."""
        _, [heard] = await self.tell(process, news(base=base), holds_seconds=holds_seconds)
        return heard


async def test_one_leads_until_it_is_not_heard_of_any_more(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """Then whoever asks first."""
    processes = Processes(commands, prefix, lease_seconds=0.2)
    leading = [(await processes.tell(process, holds_seconds=0.1))[0] for process in (0, 1, 0, 2)]
    assert leading == [True, False, True, False]
    await pass_store_time(client, 0.25)
    assert [(await processes.tell(process, holds_seconds=0.1))[0] for process in (2, 0, 1)] == [True, False, False]


async def test_the_latest_sample_and_sign_of_life_count(commands: Multiplexed, prefix: str) -> None:
    """Whoever tells of them, and in whatever order; of each endpoint by itself."""
    processes = Processes(commands, prefix)
    now = CLOCK.monotonic()
    await processes.tell(0, news(sample=Sample(ready=1), sampled_at=now - 5, worked_at=now - 7))
    await processes.tell(1, news(sample=Sample(ready=2), sampled_at=now - 3, worked_at=now - 9))
    await processes.tell(0, news(sample=Sample(ready=3), sampled_at=now - 4, worked_at=NEVER))
    heard = await processes.hear(2)
    assert heard.sample == Sample(ready=2)
    assert abs(heard.sampled_at - (now - 3)) < NEAR
    assert abs(heard.worked_at - (now - 7)) < NEAR
    other = await processes.hear(2, "e2")
    assert (other.sample, other.sampled_at, other.worked_at) == (None, NEVER, NEVER)


async def test_what_anybody_waits_for_all_wait_for(client: Redis, commands: Multiplexed, prefix: str) -> None:
    """As long as that is said again; the calls that are told are those of the others."""
    processes = Processes(commands, prefix)
    await processes.tell(0, news(level=USED), holds_seconds=30)
    await processes.tell(1, news(level=AWAITED, waiting=4), holds_seconds=0.2)
    await processes.tell(2, news(level=AWAITED, waiting=3), holds_seconds=0.2)
    _, [heard] = await processes.tell(1, news(level=AWAITED, waiting=4), holds_seconds=0.2)
    assert (heard.level, heard.waiting) == (AWAITED, 3)
    assert (await processes.hear(0)).waiting == 7
    await pass_store_time(client, 0.25)
    heard = await processes.hear(0)
    assert (heard.level, heard.waiting) == (USED, 0)


async def test_a_process_whose_calls_are_gone_says_so(commands: Multiplexed, prefix: str) -> None:
    processes = Processes(commands, prefix)
    await processes.tell(0, news(level=AWAITED, waiting=4))
    await processes.tell(0, news(level=AWAITED))
    assert (await processes.hear(1)).waiting == 0


async def test_an_endpoint_that_nobody_knows_leaves_nothing_behind(
    client: Redis, commands: Multiplexed, prefix: str
) -> None:
    """And what is kept of others is forgotten after a while."""
    processes = Processes(commands, prefix)
    await processes.tell(0, news(base="e2"), news(level=USED))
    keys = sorted(await client.keys(f"{{{prefix}}}*"))
    assert keys == [f"{{{prefix}}}:health:{name}".encode() for name in ("e1", "leader")]
    assert all([0 < await client.pttl(key) <= 600_000 for key in keys])
