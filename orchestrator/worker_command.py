"""What ``tiergate-orchestrator worker`` does once its arguments are understood: takes jobs of a Runpod queue."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from socket import gethostname
from typing import TextIO
from uuid import uuid4

from orchestrator import clock
from orchestrator.batch.room import room
from orchestrator.batch.sdk import Sdk
from orchestrator.batch.worker import BatchWorker, Runner
from orchestrator.host.flow_loop import STEP_THREADS_MAX
from orchestrator.host.settings import HostSettings
from orchestrator.hosted_flow import load_flows
from orchestrator.quiet import keep_no_task_outputs, silence_console, use_process_locks
from orchestrator.runs.open_store import open_store
from orchestrator.runs.runner import Runner as DurableRunner
from orchestrator.runs.store import RunStore
from orchestrator.settings import Secret, Settings, bind
from orchestrator.warming.announced import announced


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCommand:
    """Flows, to be run as jobs. ``arguments`` are the SDK's own."""

    targets: tuple[str, ...]
    jobs_max: int
    arguments: tuple[str, ...]
    settings: Settings
    host_settings: HostSettings

    def execute(self, stderr: TextIO) -> None:
        """Take jobs until SIGTERM. Raises ``OrchestratorError`` where it cannot begin."""

        def say(line: str) -> None:
            print(line, file=stderr, flush=True)

        use_process_locks()
        keep_no_task_outputs()
        flows = load_flows(self.targets)
        silence_console()

        async def opened() -> tuple[RunStore, Runner]:
            # Steps that block are in threads, and each agent's call of a model is, too.
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(STEP_THREADS_MAX, thread_name_prefix="step"))
            store = await asyncio.to_thread(open_store, self._place())
            classes = {name: flow.flow_class for name, flow in flows.items()}
            return store, DurableRunner(
                store=store, flows=classes, owner=self._owner(), unix=clock.unix, secrets=self._secrets()
            )

        with Sdk() as sdk, bind(self.settings), announced(self.settings, say=say):
            worker = BatchWorker(flows=flows, opened=opened, progress=sdk.progress, unix=clock.unix, say=say)
            sdk.start(worker, places=self._places(), arguments=self.arguments)

    def _places(self) -> Callable[[int], int]:
        return room(self.jobs_max)

    def _place(self) -> str:
        runs = self.host_settings.runs
        return runs.reveal() if isinstance(runs, Secret) else str(runs)

    def _owner(self) -> str:
        return self.host_settings.worker or f"{gethostname()}-{uuid4()}"

    def _secrets(self) -> tuple[Secret, ...]:
        known = (self.settings.key, self.host_settings.edge_key, self.host_settings.runs)
        return tuple(each for each in known if isinstance(each, Secret))
