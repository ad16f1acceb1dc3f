"""Lets time go on in the world, and does what the world cannot: runs engines and jobs, and wakes who waits.

After every change it compares: a container that is up gets an engine, one that is gone loses it; a job that is in
progress is worked on, one that is not is left. So whatever moves the world, engines and jobs follow.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from random import Random

from deploy.emulator.clock import EmulatedClock
from deploy.emulator.data_plane.handler import Engine, JobFailed, handle, taken
from deploy.emulator.engines.job_taker import JobTaker
from deploy.emulator.engines.reply import EngineFailed
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.job import Job
from deploy.emulator.model.worker import Worker
from deploy.emulator.model.world import World

TICK_SECONDS = 0.5
"""At least so often, by the machine's clock, the world is looked at: money runs out without an event."""


class _Post:
    """One container's engine: its start, and the watch over its end."""

    def __init__(self, worker: Worker, engine: Engine) -> None:
        self.worker = worker
        self.engine = engine
        self.task: asyncio.Task[None] | None = None


class Conductor:
    """Engines and jobs of one world. Runs between ``begin`` and ``end``."""

    def __init__(
        self,
        world: World,
        clock: EmulatedClock,
        make_engine: Callable[[Worker], Engine],
        *,
        seed: int,
        tell_end: Callable[[Job], None],
    ) -> None:
        self.world = world
        self.clock = clock
        self._make_engine = make_engine
        self._tell_end = tell_end
        self._random = Random(seed)  # noqa: S311 - dice, not secrets
        self._posts: dict[tuple[str, float], _Post] = {}
        self._work: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._watchers: dict[str, list[asyncio.Future[None]]] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start."""
        self.world.listeners.append(self._on_change)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def end(self) -> None:
        """Stop every job and every engine; returns when none is left."""
        self.world.listeners.remove(self._on_change)
        tasks = [task for task in (self._task, *self._work.values()) if task is not None]
        await _cancel(*tasks)
        for key in list(self._posts):
            self._dismiss(key)
        await asyncio.gather(*self._stopping)

    def engine_of(self, worker: Worker) -> Engine | None:
        """What runs in a worker's container."""
        post = self._posts.get((worker.id, worker.started_at or 0.0))
        return None if post is None else post.engine

    def engine_called(self, worker_id: str) -> Engine | None:
        """What runs in the container of the worker of that id, now."""
        return next((post.engine for post in self._posts.values() if post.worker.id == worker_id), None)

    async def changed(self, job: Job | None = None) -> None:
        """Wait until something has changed: a job, or anything at all."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        watchers = self._watchers.setdefault("" if job is None else job.id, [])
        watchers.append(future)
        try:
            await future
        finally:
            with suppress(ValueError):
                watchers.remove(future)

    def _on_change(self) -> None:
        self._changed.set()
        watchers, self._watchers = self._watchers, {}
        for futures in watchers.values():
            _wake(futures)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            self.world.advance(self.clock.now())
            self._compare()
            while self.world.ended:
                self._tell_end(self.world.ended.pop())
            due = self.world.next_at()
            alarm = None if due is None else self.clock.call_at(due, self._changed.set)
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                self.world.refresh(self.clock.now())
            if alarm is not None:
                alarm.cancel()

    def _compare(self) -> None:
        endpoints = list(self.world.endpoints.values())
        wanted = {
            (worker.id, worker.started_at or 0.0): worker
            for endpoint in endpoints
            for worker in endpoint.workers.values()
            if worker.has_container
        }
        for key in self._posts.keys() - wanted.keys():
            self._dismiss(key)
        for key in wanted.keys() - self._posts.keys():
            self._engage(key, wanted[key])
        in_progress = {
            (job_id, endpoint.jobs[job_id].attempt): (endpoint, worker)
            for endpoint in endpoints
            for worker in endpoint.workers.values()
            for job_id in worker.jobs
        }
        for job_key in [job_key for job_key in self._work if job_key not in in_progress]:
            self._stopping_task(self._work.pop(job_key))
        for job_key, (endpoint, worker) in in_progress.items():
            if job_key not in self._work:
                job = endpoint.jobs[job_key[0]]
                self._work[job_key] = asyncio.get_running_loop().create_task(self._work_on(endpoint, worker, job))

    def _engage(self, key: tuple[str, float], worker: Worker) -> None:
        post = _Post(worker, self._make_engine(worker))
        self._posts[key] = post
        post.task = asyncio.get_running_loop().create_task(self._attend(post))

    def _dismiss(self, key: tuple[str, float]) -> None:
        post = self._posts.pop(key)
        task = asyncio.get_running_loop().create_task(_stop(post))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    def _stopping_task(self, task: asyncio.Task[None]) -> None:
        stopping = asyncio.get_running_loop().create_task(_cancel(task))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def _attend(self, post: _Post) -> None:
        """Start an engine, tell the world, and tell it again when the engine ends by itself."""
        try:
            await post.engine.start()
            self.world.engine_up(post.worker, self.clock.now())
            words = await post.engine.ended()
        except EngineFailed as failed:
            words = str(failed)
        for line in words.splitlines():
            post.worker.say(self.clock.now(), line)
        self.world.engine_died(post.worker, self.clock.now(), "worker exited with exit code 1")

    async def _work_on(self, endpoint: Endpoint, worker: Worker, job: Job) -> None:
        faults = endpoint.faults
        engine = self.engine_of(worker)
        if faults.stuck_jobs or not job.input or engine is None:
            return
        if faults.crash_in_job:
            self.world.engine_died(worker, self.clock.now(), "worker exited with exit code 137")
            return
        error, attempt = None, job.attempt
        try:
            outcome = (
                taken(engine, job) if isinstance(engine, JobTaker) else handle(job.input, engine, faults, self._random)
            )
            async with aclosing(outcome) as outputs:
                async for output in outputs:
                    if job.attempt != attempt or not job.open:
                        return
                    self.world.yielded(job, [output])
                    _wake(self._watchers.pop(job.id, []))
        except JobFailed as failed:
            error = str(failed)
        except EngineFailed as failed:
            self.world.engine_died(worker, self.clock.now(), str(failed))
            return
        except ValueError as failed:
            error = json.dumps(
                {"error_type": "<class 'ValueError'>", "error_message": str(failed), "worker_id": worker.id}
            )
        if job.attempt == attempt:
            self.world.finish(job, self.clock.now(), error=error)


@asynccontextmanager
async def conducting(conductor: Conductor) -> AsyncIterator[Conductor]:
    """A conductor that runs as long as the block."""
    conductor.begin()
    try:
        yield conductor
    finally:
        await conductor.end()


def _wake(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


async def _stop(post: _Post) -> None:
    if post.task is not None:
        await _cancel(post.task)
    await post.engine.stop()


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
