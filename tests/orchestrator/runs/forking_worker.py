"""A program that makes workers: it imports CrewAI once and forks a process for each, which a test then kills.

It reads a JSON object a line: ``{"do": "start", …}`` answers ``{"pid": …}``; ``{"do": "wait", "pid": …}`` answers
``{"status": …}``, negative for a signal.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from crewai.events.event_bus import crewai_event_bus

from orchestrator.clock import unix
from orchestrator.quiet import silence_console
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.redis_store import RedisRunStore
from orchestrator.runs.run import Step
from orchestrator.runs.runner import Runner
from orchestrator.runs.store import Ownership
from tests.orchestrator.runs.kept_flows import FLOWS


class Deadly:
    """A store that kills its process with a step: just before it is kept, or just after."""

    kill_before = kill_after = 0
    kept = 0

    async def keep_step(self, ownership: Ownership, step: Step) -> None:
        """As the store that it is, unless it is the last."""
        self.kept += 1
        if self.kept == self.kill_before:
            os.kill(os.getpid(), signal.SIGKILL)
        await super().keep_step(ownership, step)  # type: ignore[misc]
        if self.kept == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


class DeadlyRedis(Deadly, RedisRunStore):
    """In Redis."""


class DeadlyDirectory(Deadly, DirectoryRunStore):
    """In a directory."""


async def work(order: dict[str, str | int | float]) -> None:
    """Take up one run."""
    place = str(order["url"])
    store = DeadlyDirectory(Path(place), unix=unix) if place.startswith("/") else DeadlyRedis.from_url(place)
    assert isinstance(store, DeadlyRedis | DeadlyDirectory)
    store.kill_before, store.kill_after = int(order.get("kill_before", 0)), int(order.get("kill_after", 0))
    lease = float(order.get("lease_seconds", 0.05))
    runner = Runner(
        store=store,
        flows=FLOWS,
        owner=f"worker {os.getpid()}",
        unix=unix,
        lease_seconds=lease,
        heartbeat_seconds=lease / 3,
    )
    async with asyncio.timeout(20):
        while await runner.work(str(order["run"])) is None:  # noqa: ASYNC110 - until the lease of the dead is over
            await asyncio.sleep(0.01)
    await store.close()


def forked(order: dict[str, str | int | float]) -> int:
    """A new worker's process id."""
    pid = os.fork()
    if pid:
        return pid
    # Threads do not live on in a fork: the bus makes its own again.
    crewai_event_bus._executor_initialized = False
    try:
        asyncio.run(work(order))
    except BaseException as error:  # noqa: BLE001 - the child must not become a second parent
        sys.stderr.write(f"worker: {error!r}\n")
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Answer each line until there is none."""
    silence_console()
    # What CrewAI imports at a first kickoff, once for all.
    FLOWS["Untyped"]().kickoff(inputs={"folder": sys.argv[1]})
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "start":
            answer = {"pid": forked(order)}
        else:
            _, status = os.waitpid(order["pid"], 0)
            answer = {"status": os.waitstatus_to_exitcode(status)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
