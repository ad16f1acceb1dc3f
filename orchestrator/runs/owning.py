"""Makes a run a worker's, or not at all: a worker that is told to end in that very moment leaves nothing owned."""

import asyncio
from contextlib import suppress

from orchestrator.errors import OwnershipLost, StoreUnavailable
from orchestrator.runs.store import Ownership, RunStore


async def own(store: RunStore, name: str, *, owner: str, lease_seconds: float) -> Ownership | None:
    """As ``RunStore.own``. Whoever cancels this does not own the run: nobody has to wait for its lease to lapse."""
    owning = asyncio.get_running_loop().create_task(store.own(name, owner=owner, lease_seconds=lease_seconds))
    try:
        return await asyncio.shield(owning)
    except asyncio.CancelledError:
        with suppress(OwnershipLost, StoreUnavailable):
            ownership = await owning
            if ownership is not None:
                await store.let_go(ownership)
        raise
