"""Looks at the health of all Runpod endpoints: one process for all that share a store.

Each process tells the store once a second what it has learned and what it waits for, and hears what the others have
(``shared_health``). One of them leads, by a lease that another takes when it ends: it alone looks, often at endpoints
that somebody waits for anywhere and at those with a billed worker, now and then at those in use, seldom at the others.
While the store cannot be reached each process looks for itself, and less often.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.errors import StoreUnavailable
from gateway.exchange import Clock
from gateway.upstream.fleet import Fleet
from gateway.upstream.health import Report
from gateway.upstream.look import Look, Seen
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.shared_health import AWAITED, UNUSED, USED, News, SharedHealth
from gateway.upstream.warmth import Warmth
from tiers.warmth import State

ROUND_SECONDS_MIN: Final = 0.02
"""A round is as long as the shortest wait between two looks, but no shorter than this."""
_JITTER: Final = 0.1
_LIMITED: Final = 429


class Post:
    """One Runpod endpoint that is looked at.

    Attributes:
        warmth: What is known of it.
        look: How it is looked at.
        level: How urgently somebody wants to know, over all processes as far as is known.
        asking: A look is under way.
        due_at: When the next one may begin after one that failed.
        failures: Looks in a row that failed.
        fresh: Whether its sample is this process's own and the others do not know it yet.
        began_at: Since when it is watched.
    """

    __slots__ = ("asking", "began_at", "due_at", "failures", "fresh", "level", "look", "looked_at", "warmth")

    def __init__(self, warmth: Warmth, look: Look, began_at: float) -> None:
        self.began_at = began_at
        self.warmth = warmth
        self.look = look
        self.level = UNUSED
        self.asking = False
        self.looked_at = float("-inf")
        self.due_at = float("-inf")
        self.failures = 0
        self.fresh = False


class HealthPoll:
    """Keeps the ``Warmth`` of every Runpod endpoint up to date.

    Attributes:
        leading: Whether this process looks for all.
    """

    def __init__(
        self,
        fleets: Callable[[], Sequence[Fleet]],
        shared: SharedHealth,
        *,
        times: RunpodTimes,
        clock: Clock,
        report: Report,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """``fleets`` are those of all generations that have requests, the latest one last."""
        self.leading = False
        self._fleets = fleets
        self._shared = shared
        self._times = times
        self._clock = clock
        self._report = report
        self._draw = draw
        self._round_seconds = max(times.health_awaited, ROUND_SECONDS_MIN)
        self._of: Sequence[Fleet] = ()
        self._posts: dict[str, Post] = {}

    async def run(self) -> None:
        """Go round until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self.round(group)
                await asyncio.sleep(self._round_seconds)

    async def round(self, group: asyncio.TaskGroup) -> None:
        """Let time pass, tell and hear news, and begin the looks that are due, as tasks of ``group``."""
        posts = self._watched()
        if not posts:
            return
        for post in posts:
            post.warmth.look()
        slow = await self._exchange(posts)
        now = self._clock.monotonic()
        for post in posts:
            if self.leading and not post.asking and self._due(post, now, slow=slow):
                post.asking, post.looked_at = True, now
                group.create_task(self._look(post))

    async def _exchange(self, posts: Sequence[Post]) -> bool:
        """Tell and hear news; says whether every process is on its own."""
        now = self._clock.monotonic()
        own = {post.warmth.base: _level(post.warmth, now, used_seconds=self._times.health_unused) for post in posts}
        news = [
            News(
                base=post.warmth.base,
                level=own[post.warmth.base],
                waiting=post.warmth.waiting,
                worked_at=post.warmth.proved_at,
                sample=post.warmth.sample if post.fresh else None,
                sampled_at=post.warmth.sampled_at,
            )
            for post in posts
        ]
        fresh = [post for post in posts if post.fresh]
        for post in fresh:
            post.fresh = False
        try:
            self.leading, heard = await self._shared.exchange(news, holds_seconds=3 * self._round_seconds)
        except StoreUnavailable:
            self.leading = True
            for post in fresh:
                post.fresh = True
            for post in posts:
                post.level, post.warmth.waiting_elsewhere = own[post.warmth.base], 0
            return True
        for post, told in zip(posts, heard, strict=True):
            post.level = max(told.level, own[post.warmth.base])
            self._hear(post, told)
        return False

    def _hear(self, post: Post, told: News) -> None:
        """Take what is news: what others have seen since this process watches the endpoint.

        By how long ago it was, the same news differ a little each time: that makes none.
        """
        warmth, margin = post.warmth, self._round_seconds * _JITTER
        warmth.waiting_elsewhere = told.waiting
        if told.sample is not None and told.sampled_at > max(warmth.sampled_at + margin, post.began_at):
            warmth.heard(told.sample, at=told.sampled_at)
        if told.worked_at > max(warmth.proved_at + margin, post.began_at):
            warmth.worked(told.worked_at)

    def _due(self, post: Post, now: float, *, slow: bool) -> bool:
        if now < post.due_at:
            return False
        every = pace(post.warmth, post.level, self._times, slow=slow)
        # Shorter by chance rather than longer, so that no round is waited for in vain.
        latest = max(post.looked_at, post.warmth.sampled_at)
        return now - latest >= every * (1 - _JITTER * self._draw()) - self._round_seconds * _JITTER

    async def _look(self, post: Post) -> None:
        at = self._clock.monotonic()
        try:
            seen = await post.look()
        finally:
            post.asking = False
        if seen.sample is None:
            self._failed(post, seen)
            return
        if post.failures:
            self._report("endpoint.health_known", endpoints=post.warmth.names, looks_failed=post.failures)
        post.failures, post.due_at = 0, at
        post.fresh = True
        post.warmth.heard(seen.sample, at=at)

    def _failed(self, post: Post, seen: Seen) -> None:
        """Its state stays; look less and less often, and tell of it once."""
        if not post.failures:
            self._report(
                "endpoint.health_unknown", endpoints=post.warmth.names, status=seen.status, message=seen.problem
            )
        post.failures += 1
        times = self._times
        wait = min(times.health_awaited * 2.0 ** min(post.failures, 32), times.health_unused)
        if seen.status == _LIMITED:
            wait = min(max(wait, seen.retry_after_seconds or times.health_used), times.health_unused)
        post.due_at = self._clock.monotonic() + wait * (1 + _JITTER * self._draw())

    def _watched(self) -> Sequence[Post]:
        fleets = self._fleets()
        if len(fleets) != len(self._of) or any(one is not other for one, other in zip(fleets, self._of, strict=True)):
            self._of = tuple(fleets)
            self._posts = _posts(self._of, self._posts, self._clock.monotonic())
        return list(self._posts.values())


def _posts(fleets: Iterable[Fleet], before: dict[str, Post], now: float) -> dict[str, Post]:
    """One for each endpoint that any of them calls: over the latest one's ways, with the names that it has there."""
    posts: dict[str, Post] = {}
    names: dict[str, list[str]] = {}
    for fleet in fleets:
        names.clear()
        for station in fleet.stations():
            warmth, look = station.warmth, station.look
            if warmth is None or look is None:
                continue
            names.setdefault(warmth.base, []).append(station.endpoint.name)
            post = before.get(warmth.base)
            if len(names[warmth.base]) > 1:
                continue
            if post is not None and post.warmth is warmth:
                post.look = look
                posts[warmth.base] = post
            else:
                posts[warmth.base] = Post(warmth, look, now)
        for base, of_it in names.items():
            posts[base].warmth.names = of_it
    return posts


def pace(warmth: Warmth, level: int, times: RunpodTimes, *, slow: bool = False) -> float:
    """How many seconds lie between two looks; ``slow`` where every process looks for itself."""
    if slow:
        return times.health_used if level == AWAITED else times.health_unused
    every = {AWAITED: times.health_awaited, USED: times.health_used, UNUSED: times.health_unused}[level]
    sample = warmth.sample
    # Of a queue's ready workers those that wait for their idle timeout look like those that cost nothing.
    billed = sample is not None and (
        sample.running or sample.in_progress or sample.in_queue or (sample.ready and level == USED)
    )
    return min(every, times.health_billed) if billed else every


def _level(warmth: Warmth, now: float, *, used_seconds: float) -> int:
    """How urgently this process wants to know."""
    wanted = warmth.state in {State.UNKNOWN, State.WAKING} or (warmth.under_way and not warmth.ready)
    if wanted or warmth.waiting or warmth.doubted:
        return AWAITED
    latest = max(warmth.proved_at, warmth.condition.called_at)
    return USED if warmth.under_way or now - latest < used_seconds else UNUSED
