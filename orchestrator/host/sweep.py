"""Runs that are to be taken up although nobody was told of them.

A worker that died between keeping a run and handing its name on tells nobody, and one whose runs hang while the worker
itself goes on keeps their names. Each worker looks now and then for runs whose owner's lease ran out, and less often
for queued ones.
"""

import asyncio
from collections.abc import Callable, Container
from typing import Final

from orchestrator.errors import StoreUnavailable
from orchestrator.host.dispatch import Dispatch
from orchestrator.runs.run import RunState
from orchestrator.runs.store import RunStore

SWEEP_SECONDS: Final = 10.0
"""How often a worker looks for runs whose lease ran out."""
SWEEPS_PER_QUEUED: Final = 6
"""Every so many sweeps it looks for queued runs as well, that is every minute."""
QUEUED_SECONDS: Final = 30.0
"""How old a queued run is before somebody may have forgotten to tell of it."""
PAGE_RUNS: Final = 200
"""Queued runs asked for at once."""
SWEEP_RUNS_MAX: Final = 2000
"""Queued runs looked at by one sweep."""


async def sweep(
    store: RunStore, dispatch: Dispatch, flows: Container[str], *, queued_before_unix: float | None = None
) -> int:
    """Hand on runs whose lease ran out, and queued ones of these Flows made before a moment, the oldest first.

    No queued ones where no moment is given, all of them where it is 0, and none at all whose name waits for a worker
    already. Returns how many. Raises ``StoreUnavailable``.
    """
    names: list[str] = list(await store.lapsed())
    if queued_before_unix is not None:
        names += await _queued(store, flows, queued_before_unix)
    waiting = await dispatch.waiting() if names else ()
    unknown = [name for name in names if name not in waiting]
    for name in unknown:
        await dispatch.enqueue(name)
    return len(unknown)


async def _queued(store: RunStore, flows: Container[str], before_unix: float) -> list[str]:
    queued: list[str] = []
    while len(queued) < SWEEP_RUNS_MAX:
        page = await store.runs(states=(RunState.QUEUED,), before_unix=before_unix, limit=PAGE_RUNS)
        queued += [run.name for run in page if run.flow in flows]
        if len(page) < PAGE_RUNS or page[-1].created_unix == before_unix:
            break
        before_unix = page[-1].created_unix
    return queued[::-1]


async def keep_sweeping(
    store: RunStore,
    dispatch: Dispatch,
    flows: Container[str],
    *,
    unix: Callable[[], float],
    say: Callable[[str], object],
    every_seconds: float = SWEEP_SECONDS,
) -> None:
    """Sweep until cancelled; a store that is away is said, and asked again.

    The first sweep takes queued runs of any age: a worker that is alone with its directory was told of none.
    """
    sweeps = 0
    while True:
        queued_before_unix = None if sweeps % SWEEPS_PER_QUEUED else unix() - QUEUED_SECONDS
        try:
            await sweep(store, dispatch, flows, queued_before_unix=queued_before_unix if sweeps else 0.0)
        except StoreUnavailable as error:
            say(f"sweep: {error}")
        else:
            sweeps += 1
        await asyncio.sleep(every_seconds)
