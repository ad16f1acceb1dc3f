"""Runs that ended long ago are forgotten, with their steps and events: a store does not grow for ever."""

import asyncio
from collections.abc import Callable
from typing import Final

from orchestrator.errors import StoreUnavailable
from orchestrator.runs.store import RunStore

RUNS_DAYS: Final = 30
"""How long a run that ended is kept, unless TIERGATE_RUNS_DAYS says otherwise."""
FORGET_SECONDS: Final = 3600.0
"""How often a worker looks."""
DAY_SECONDS: Final = 86_400


async def keep_forgetting(
    store: RunStore,
    *,
    days: int,
    unix: Callable[[], float],
    say: Callable[[str], object],
    every_seconds: float = FORGET_SECONDS,
) -> None:
    """Forget runs that ended more than so many days ago, now and then until cancelled; none ever where it is 0.

    Several workers that do so on one store are no harm. A store that is away is said, and asked again.
    """
    while days > 0:
        try:
            forgotten = await store.forget(before_unix=unix() - days * DAY_SECONDS)
        except StoreUnavailable as error:
            say(f"forgetting: {error}")
        else:
            if forgotten:
                say(f"forgetting: {forgotten} runs that ended more than {days} days ago")
        await asyncio.sleep(every_seconds)
