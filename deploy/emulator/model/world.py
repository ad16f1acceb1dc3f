"""All accounts' state: the one object that control plane, data plane and admin API work with.

Every method takes ``now``, seconds of the emulator's clock, first brings the world up to that moment, and tells its
listeners when something may have changed. Nothing in here waits: ``next_at`` says when it has to be called again.
"""

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from deploy.emulator.model import queue, workforce
from deploy.emulator.model.account import Account
from deploy.emulator.model.bill import Bill, Ledger
from deploy.emulator.model.catalogue import NANODOLLARS_PER_DOLLAR
from deploy.emulator.model.config import EndpointConfig
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.errors import CannotChange, QuotaExceeded, UnknownEndpoint, UnknownJob, UnknownWorker
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.job import Job, JobStatus, Policy
from deploy.emulator.model.names import new_id, new_job_id
from deploy.emulator.model.release import Release, changes
from deploy.emulator.model.step import next_at, step
from deploy.emulator.model.worker import Worker, WorkerState

SECONDS_PER_HOUR = 3600


class World:
    """The emulated Runpod.

    Attributes:
        accounts: By id.
        endpoints: By id; deleted ones are not in it.
        ledger: Every worker's spans and runs, of deleted endpoints too.
        random: The dice that everything is thrown with.
        made_by: The account of every endpoint that ever was: its cost stays when it is gone.
        ended: Jobs with a webhook that have ended and whose end was not told yet.
        listeners: Called, without arguments, when something may have changed.
    """

    def __init__(self, *, seed: int, instant_engines: bool = True) -> None:
        """Make an empty world.

        Args:
            seed: The same seed and the same calls make the same world.
            instant_engines: Whether containers are up as soon as their load time is over; else ``engine_up`` has to
                be called for each.
        """
        self.accounts: dict[str, Account] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.ledger = Ledger()
        self.random = Random(seed)  # noqa: S311 - dice, not secrets
        self.listeners: list[Callable[[], None]] = []
        self.made_by: dict[str, str] = {}
        self.ended: list[Job] = []
        self._instant_engines = instant_engines
        self._due: float | None = None
        self._due_known = False
        """Whether ``_due`` is what ``next_at`` says: nothing changes but by a step."""

    # Accounts

    def add_account(self, account: Account) -> Account:
        """Take in an account."""
        self.accounts[account.id] = account
        return account

    def account_of(self, key: str) -> Account | None:
        """The account that an API key acts for."""
        return next((account for account in self.accounts.values() if key in account.keys), None)

    def owned(self, account_id: str) -> list[Endpoint]:
        """An account's endpoints, the oldest first."""
        return [endpoint for endpoint in self.endpoints.values() if endpoint.account_id == account_id]

    # Time

    def advance(self, now: float) -> None:
        """Do everything that is due up to ``now``, in its order and each at its own time."""
        moved = False
        while (due := self.next_at()) is not None and due <= now:
            self._step(due)
            moved = True
        if moved:
            self._tell()

    def next_at(self) -> float | None:
        """When something is due next if nothing happens from outside; ``None`` is never."""
        if not self._due_known:
            due = (at for endpoint in self.endpoints.values() if (at := next_at(endpoint)) is not None)
            self._due = min(due, default=None)
            self._due_known = True
        return self._due

    # Endpoints

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """An endpoint by its id.

        Raises:
            UnknownEndpoint: There is none.
        """
        found = self.endpoints.get(endpoint_id)
        if found is None:
            raise UnknownEndpoint(endpoint_id)
        return found

    def create_endpoint(self, account_id: str, config: EndpointConfig, now: float) -> Endpoint:
        """Make an endpoint.

        Raises:
            QuotaExceeded: The account may not have so many workers.
        """
        self.advance(now)
        self._check_quota(self.accounts[account_id], config.workers_max)
        endpoint = Endpoint(
            id=new_id(self.random),
            account_id=account_id,
            config=config,
            created_at=now,
            ledger=self.ledger,
            random=self.random,
            instant_engines=self._instant_engines,
            ended=self.ended,
            last_request_at=now,
        )
        endpoint.releases.append(Release(id=new_id(self.random), version=1, created_at=now, changes=()))
        self.endpoints[endpoint.id] = endpoint
        self.made_by[endpoint.id] = account_id
        self._changed(now)
        return endpoint

    def update_endpoint(self, endpoint_id: str, config: EndpointConfig, now: float) -> Endpoint:
        """Give an endpoint a new configuration; makes a release where anything differs.

        Workers are replaced where they would run something else; else they go on under the new configuration.

        Raises:
            UnknownEndpoint: There is none.
            CannotChange: Its type, or GPU to CPU.
            QuotaExceeded: The account may not have so many workers.
        """
        self.advance(now)
        endpoint = self.endpoint(endpoint_id)
        old = endpoint.config
        if config.type != old.type or (config.gpu is None) != (old.gpu is None):
            raise CannotChange("an endpoint's type and its kind of compute are fixed when it is made")
        self._check_quota(self.accounts[endpoint.account_id], config.workers_max - old.workers_max)
        differing = changes(old, config)
        if differing:
            endpoint.version += 1
            release = Release(id=new_id(self.random), version=endpoint.version, created_at=now, changes=differing)
            endpoint.releases.append(release)
            endpoint.config = config
            if config.workers_max > old.workers_max:
                # Raised by hand: an endpoint that was cut for idleness has its days again.
                endpoint.last_request_at = now
            if old.rolls_over(config):
                workforce.roll_over(endpoint, now)
            else:
                workforce.adopt(endpoint)
        self._changed(now)
        return endpoint

    def delete_endpoint(self, endpoint_id: str, now: float) -> None:
        """End an endpoint with all its workers and jobs; what it cost stays in the ledger.

        Raises:
            UnknownEndpoint: There is none.
        """
        self.advance(now)
        endpoint = self.endpoint(endpoint_id)
        for job in list(endpoint.jobs.values()):
            queue.cancel(endpoint, job, now)
        for worker in list(endpoint.workers.values()):
            workforce.stop(endpoint, worker, now)
        del self.endpoints[endpoint_id]
        templates = self.accounts[endpoint.account_id].resources.templates
        for template in [template for template in templates.values() if template.endpoint_id == endpoint_id]:
            del templates[template.id]
        self._changed(now)

    def set_faults(self, endpoint_id: str, faults: Faults, now: float) -> None:
        """Switch faults of an endpoint on and off.

        Raises:
            UnknownEndpoint: There is none.
        """
        self.advance(now)
        endpoint = self.endpoint(endpoint_id)
        endpoint.faults = faults
        if not faults.no_capacity:
            for worker in endpoint.in_state(WorkerState.THROTTLED):
                worker.retry_at = now
        self._changed(now)

    # Workers

    def worker(self, endpoint_id: str, worker_id: str) -> Worker:
        """A worker by its id, also one of the latest that stopped.

        Raises:
            UnknownEndpoint: There is no such endpoint.
            UnknownWorker: It has no such worker.
        """
        endpoint = self.endpoint(endpoint_id)
        found = endpoint.workers.get(worker_id) or endpoint.gone.get(worker_id)
        if found is None:
            raise UnknownWorker(worker_id)
        return found

    def engine_up(self, worker: Worker, now: float) -> None:
        """What runs in a worker's container says that it is up."""
        self.advance(now)
        if endpoint := self._home(worker):
            workforce.engine_up(endpoint, worker, now)
            self._changed(now)

    def engine_died(self, worker: Worker, now: float, reason: str) -> None:
        """What runs in a worker's container has ended by itself, or could not start."""
        self.advance(now)
        endpoint = self._home(worker)
        if endpoint is not None and worker.has_container:
            workforce.crash(endpoint, worker, now, reason)
            self._changed(now)

    # Jobs

    def submit(
        self,
        endpoint_id: str,
        job_input: Mapping[str, Any],
        now: float,
        *,
        policy: Policy | None = None,
        sync: bool = False,
        webhook: str = "",
    ) -> Job:
        """Queue a job.

        Raises:
            UnknownEndpoint: There is no such endpoint.
        """
        self.advance(now)
        endpoint = self.endpoint(endpoint_id)
        job = Job(
            id=new_job_id(self.random, sync=sync),
            endpoint_id=endpoint_id,
            input=job_input,
            policy=policy or Policy(),
            sync=sync,
            webhook=webhook,
            created_at=now,
            queued_at=now,
        )
        endpoint.last_request_at = now
        queue.submit(endpoint, job)
        self._changed(now)
        return job

    def job(self, endpoint_id: str, job_id: str) -> Job:
        """A job by its id.

        Raises:
            UnknownEndpoint: There is no such endpoint.
            UnknownJob: It has no such job, or no longer.
        """
        found = self.endpoint(endpoint_id).jobs.get(job_id)
        if found is None:
            raise UnknownJob(job_id)
        return found

    def yielded(self, job: Job, pieces: list[Any]) -> None:
        """A job's handler has yielded something. Listeners are not told: it changes nothing but the job's output."""
        job.output.extend(pieces)

    def finish(self, job: Job, now: float, *, error: str | None = None) -> None:
        """A job's handler has ended: with what it has yielded, or with an error; heard only of a job in progress."""
        self.advance(now)
        if job.status is JobStatus.IN_PROGRESS:
            queue.finish(self.endpoint(job.endpoint_id), job, now, error=error)
            self._changed(now)

    def cancel(self, job: Job, now: float) -> None:
        """Cancel a job if it is open."""
        self.advance(now)
        queue.cancel(self.endpoint(job.endpoint_id), job, now)
        self._changed(now)

    def retry(self, job: Job, now: float) -> bool:
        """Queue a failed or timed-out job again; whether it could be."""
        self.advance(now)
        queued = queue.retry(self.endpoint(job.endpoint_id), job, now)
        self._changed(now)
        return queued

    def purge(self, endpoint_id: str, now: float) -> int:
        """Remove an endpoint's queued jobs; returns how many.

        Raises:
            UnknownEndpoint: There is no such endpoint.
        """
        self.advance(now)
        removed = queue.purge(self.endpoint(endpoint_id))
        self._changed(now)
        return removed

    # Requests to load-balancing endpoints

    def arrive(self, endpoint: Endpoint, now: float) -> None:
        """An HTTP request waits for a worker; ``begin`` or ``give_up`` has to follow."""
        self.advance(now)
        endpoint.waiting += 1
        endpoint.last_request_at = now
        self._changed(now)

    def begin(self, endpoint: Endpoint, now: float, *, worker_id: str | None = None) -> Worker | None:
        """Give a waiting request to a serving worker, or to that one; ``None`` where none can take it.

        ``done`` has to follow.
        """
        self.advance(now)
        fit = [
            worker
            for worker in endpoint.in_state(WorkerState.RUNNING)
            if worker.serving and worker_id in (None, worker.id)
        ]
        if not fit:
            return None
        worker = min(fit, key=lambda candidate: candidate.requests)
        endpoint.waiting -= 1
        worker.requests += 1
        worker.free_since = None
        self._changed(now)
        return worker

    def give_up(self, endpoint: Endpoint, now: float) -> None:
        """A waiting request does not wait any longer."""
        self.advance(now)
        endpoint.waiting -= 1
        self._changed(now)

    def done(self, worker: Worker, now: float) -> None:
        """A request that a worker had has ended."""
        self.advance(now)
        worker.requests -= 1
        workforce.worked(worker, now)
        self._changed(now)

    def revive(self, worker: Worker, now: float) -> None:
        """Start a worker that is scaled down, because a request insists on it."""
        self.advance(now)
        endpoint = self._home(worker)
        if endpoint is not None and worker.state is WorkerState.IDLE:
            workforce.revive(endpoint, worker, now)
            self._changed(now)

    def refresh(self, now: float) -> None:
        """Bring the world up to ``now``, also where only money has run out meanwhile."""
        self.advance(now)
        self._changed(now)

    # Money

    def bill(self, account_id: str, now: float, *, start: float = -math.inf, end: float = math.inf) -> Bill:
        """An account's bill up to ``now``, deleted endpoints included."""
        total = Bill()
        for endpoint_id in self._billed_to(account_id):
            total += self.ledger.bill(now, endpoint_id=endpoint_id, start=start, end=end)
        return total

    def _billed_to(self, account_id: str) -> set[str]:
        return {endpoint_id for endpoint_id, owner in self.made_by.items() if owner == account_id}

    def _check_quota(self, account: Account, added: int) -> None:
        total = sum(endpoint.config.workers_max for endpoint in self.owned(account.id))
        if added > 0 and total + added > account.workers_max:
            raise QuotaExceeded(
                f"max workers over all endpoints would be {total + added}, but the account's quota is "
                f"{account.workers_max}"
            )

    def _home(self, worker: Worker) -> Endpoint | None:
        """The endpoint of a worker that still exists."""
        endpoint = self.endpoints.get(worker.endpoint_id)
        return endpoint if endpoint is not None and worker.id in endpoint.workers else None

    def _changed(self, now: float) -> None:
        self._step(now)
        self.advance(now)
        self._tell()

    def _step(self, now: float) -> None:
        for account in self.accounts.values():
            broke, at_limit = self._out_of_money(account, now)
            for endpoint in self.owned(account.id):
                endpoint.may_start = not broke and not at_limit
                if broke:
                    for worker in endpoint.in_state(WorkerState.RUNNING, WorkerState.OUTDATED):
                        workforce.stop(endpoint, worker, now)
                step(endpoint, now)
        self._due_known = False

    def _out_of_money(self, account: Account, now: float) -> tuple[bool, bool]:
        """Whether the account's balance is spent, and whether it spends as much per hour as it may."""
        ids = self._billed_to(account.id)
        rate = self.ledger.nanodollars_per_second(ids) * SECONDS_PER_HOUR / NANODOLLARS_PER_DOLLAR
        broke = self.ledger.spent(ids, now) >= account.balance_usd * NANODOLLARS_PER_DOLLAR
        return broke, rate >= account.spend_limit_usd_per_hour

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()
