"""Takes a run up, and to its end: on any worker, however often workers died before.

While it works, the lease is renewed; that is also how the worker hears that the run is to be cancelled. A worker that
finds its run taken over stops at once and writes nothing more: the store would refuse it.
"""

import asyncio
import random as randomness
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

from pydantic import JsonValue

from orchestrator import retries
from orchestrator.cause import cause_line
from orchestrator.errors import OwnershipLost, StoreUnavailable
from orchestrator.flow import FlowClass
from orchestrator.identity import register_identity_hooks
from orchestrator.instances import keep_instances_apart
from orchestrator.one_retry_layer import drop_agent_retries
from orchestrator.runs.attempt import Attempts, Delay
from orchestrator.runs.feed import Feed
from orchestrator.runs.fingerprint import fingerprint
from orchestrator.runs.kept_secrets import KeptSecrets
from orchestrator.runs.leash import Leash, register_leash_hook
from orchestrator.runs.meter import Meter
from orchestrator.runs.owning import own
from orchestrator.runs.run import Problem, Question, Run, RunState, Step
from orchestrator.runs.store import Ending, Ownership, RunStore
from orchestrator.settings import Secret
from orchestrator.tier_names import let_names_be_tiers

LEASE_SECONDS: Final = 30.0
"""How long a run is its worker's without a heartbeat: so long it waits where its worker died."""

HEARTBEAT_SECONDS: Final = 2.0
"""How often a worker renews a lease, and so how soon it hears of a cancellation."""

STORE_SECONDS: Final = 0.5
"""Between two tries to write to a store that does not answer."""

_LOST = "another worker has taken it over"
_CANCELLED = "it was cancelled"
_ENDING = "its worker ends"

T = TypeVar("T")


class Runner:
    """Works on runs of the Flows that this worker hosts, any number at once, all on one event loop."""

    def __init__(
        self,
        *,
        store: RunStore,
        flows: Mapping[str, FlowClass],
        owner: str,
        unix: Callable[[], float],
        lease_seconds: float = LEASE_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        secrets: Collection[Secret] = (),
        delay: Delay = retries.delay,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        """Make a runner.

        Args:
            store: Where the runs are.
            flows: The Flows' classes, by the names under which runs ask for them.
            owner: This worker's name.
            unix: The clock.
            lease_seconds: How long a run is this worker's without a heartbeat.
            heartbeat_seconds: How often there is one.
            secrets: What must never be kept: the gateway's key, the store's password.
            delay: Which failures of a step are tried again, and after how long.
            random: Numbers from 0 to 1, for ``delay``.
        """
        register_identity_hooks()
        register_leash_hook()
        keep_instances_apart()
        drop_agent_retries()
        let_names_be_tiers()
        self._store = store
        self._flows = flows
        self._owner = owner
        self._unix = unix
        self._lease_seconds = lease_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._secrets = KeptSecrets(secrets)
        self._delay = delay
        self._random = random
        self._codes: dict[str, str] = {}

    def code(self, flow: str) -> str:
        """The fingerprint of a Flow's code, as a new run of it begins with."""
        if flow not in self._codes:
            self._codes[flow] = fingerprint(self._flows[flow])
        return self._codes[flow]

    async def work(self, name: str) -> Run | None:
        """Own the run and take it to its end, or to its question; then it is as the store has it.

        ``None`` where it is not this worker's to take: another owns it, it ended, it waits, or its Flow is not hosted
        here. What the Flow raises ends the run, and is not raised. Whoever cancels this lets the run go: it is queued.

        Raises:
            StoreUnavailable: The store did not answer before anything began.
        """
        run = await self._store.run(name)
        if run is None or run.flow not in self._flows:
            return None
        ownership = await own(self._store, name, owner=self._owner, lease_seconds=self._lease_seconds)
        if ownership is None:
            return None
        owned = _OwnedRun(self._store, ownership, lease_seconds=self._lease_seconds, secrets=self._secrets)
        run = await owned.run() or run
        attempts = Attempts(
            run=run,
            flow_class=self._flows[run.flow],
            keeper=owned,
            feed=owned.feed,
            leash=owned.leash,
            meter=owned.meter,
            unix=self._unix,
            delay=self._delay,
            random=self._random,
            secrets=self._secrets,
        )
        await owned.work(attempts, self._refusal(run), heartbeat_seconds=self._heartbeat_seconds)
        return await self._store.run(name)

    def _refusal(self, run: Run) -> Ending | None:
        """Why it does not go on: it was cancelled when nobody worked on it, or its kept steps come from other code."""
        if run.cancel_wanted:
            return Ending(state=RunState.CANCELLED)
        if not run.steps or run.code in {"", self.code(run.flow)}:
            return None
        message = (
            f"the code of {run.flow} has changed since this run began, and {run.steps} steps are kept. Resume it with "
            "the new code, which goes on after them, or start a new run."
        )
        return Ending(state=RunState.FAILED, problem=Problem(type="FlowChanged", message=message))


class _OwnedRun:
    """A run in its store, in this worker's hands: fulfils ``Keeper``."""

    def __init__(self, store: RunStore, ownership: Ownership, *, lease_seconds: float, secrets: KeptSecrets) -> None:
        self.leash = Leash()
        self.meter = Meter()
        self.feed = Feed(write=self._write, meter=self.meter, secrets=secrets)
        self._store = store
        self._ownership = ownership
        self._lease_seconds = lease_seconds
        self._secrets = secrets
        self._doing: asyncio.Task[Ending | Question] | None = None

    async def run(self) -> Run | None:
        """As it is since it is this worker's: somebody may have resumed it with other code meanwhile."""
        try:
            return await self.insist(lambda: self._store.run(self._ownership.name))
        except asyncio.CancelledError:
            await self._release()
            raise

    async def work(self, attempts: Attempts, refusal: Ending | None, *, heartbeat_seconds: float) -> None:
        """Until it ends, waits for a person, is lost, or is let go because the worker ends."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        beating = loop.create_task(self._beat(heartbeat_seconds))
        feeding = loop.create_task(self.feed.work())
        try:
            if refusal is None:
                self._doing = loop.create_task(attempts.to_end(), name=f"run {self._ownership.name}")
                await asyncio.wait({self._doing})
            await self._conclude(refusal, seconds=loop.time() - began)
        except asyncio.CancelledError:
            await self._release()
            raise
        except (OwnershipLost, StoreUnavailable):
            # Whoever has it now, or takes it when its lease is over, goes on with what is kept.
            self.leash.pull(_LOST)
        finally:
            beating.cancel()
            feeding.cancel()
            await asyncio.gather(beating, feeding, return_exceptions=True)

    async def steps(self) -> Sequence[Step]:
        """As ``Keeper``."""
        return await self.insist(lambda: self._store.steps(self._ownership.name))

    async def feedback(self) -> Mapping[str, str]:
        """As ``Keeper``."""
        return await self.insist(lambda: self._store.feedback(self._ownership.name))

    async def keep_step(self, step: Step) -> None:
        """As ``Keeper``."""
        await self.insist(lambda: self._store.keep_step(self._ownership, step))

    def tell(self, type_: str, data: dict[str, JsonValue]) -> None:
        """As ``Keeper``."""
        self.feed.tell(type_, data)

    async def insist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do it, again and again while the store does not answer and the run is still this worker's."""
        while True:
            try:
                return await act()
            except OwnershipLost:
                self._stop(_LOST)
                raise
            except StoreUnavailable:
                if self.leash.pulled == _LOST:
                    raise
            await asyncio.sleep(STORE_SECONDS)

    async def _write(self, type_: str, data: dict[str, JsonValue]) -> None:
        await self.insist(lambda: self._store.tell(self._ownership, type_, data))

    async def _beat(self, every_seconds: float) -> None:
        """Keep owning it, and stop the work when it is lost or cancelled."""
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while True:
            await asyncio.sleep(every_seconds)
            asked = clock()
            try:
                cancelled = await self._store.renew(self._ownership, lease_seconds=self._lease_seconds)
            except OwnershipLost:
                self._stop(_LOST)
                return
            except StoreUnavailable:
                if clock() - renewed >= self._lease_seconds:
                    self._stop(_LOST)
                    return
                continue
            renewed = asked
            if cancelled:
                self._stop(_CANCELLED)

    def _stop(self, why: str) -> None:
        if not self.leash.pulled:
            self.leash.pull(why)
            if self._doing is not None:
                self._doing.cancel()

    async def _conclude(self, refusal: Ending | None, *, seconds: float) -> None:
        """Write how it ended."""
        outcome = refusal or self._outcome()
        if self.leash.pulled == _LOST:
            return
        await self.feed.flush()
        if isinstance(outcome, Question):
            question = outcome
            await self.insist(lambda: self._store.ask(self._ownership, question))
            return
        ending = Ending(
            state=outcome.state,
            output=outcome.output,
            final_state=outcome.final_state,
            problem=outcome.problem,
            usage=self.meter.usage(seconds=seconds),
        )
        await self.insist(lambda: self._store.end(self._ownership, ending))

    def _outcome(self) -> Ending | Question:
        if self.leash.pulled == _CANCELLED or self._doing is None or self._doing.cancelled():
            return Ending(state=RunState.CANCELLED)
        error = self._doing.exception()
        if error is None:
            return self._doing.result()
        message = self._secrets.without(cause_line(error))
        return Ending(state=RunState.FAILED, problem=Problem(type=type(error).__name__, message=message))

    async def _release(self) -> None:
        """The worker ends: whatever is finished is kept, and the run is anybody's."""
        self._stop(_ENDING)
        if self._doing is not None:
            await asyncio.wait({self._doing})
        try:
            await self.feed.flush()
            await self._store.let_go(self._ownership)
        except (OwnershipLost, StoreUnavailable):
            return
