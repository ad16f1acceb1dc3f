"""The thread in which every run of this worker is: one event loop for all of them, and threads for steps that block.

What a run sees of others is nothing but the processor: each piece of work begins in a copy of one context, made before
any run, so no run inherits another's state or the request that asked for it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from functools import partial
from threading import Event, Thread
from time import perf_counter
from typing import Any, Final, ParamSpec, TypeVar

STEP_THREADS_MAX: Final = 256
"""Steps and agents' calls that may block at once; CrewAI makes each agent's LLM call in a thread. A thread is made when
it is first needed."""
START_SECONDS_MAX: Final = 10.0
"""How long the thread may take to come up, and to end."""

T = TypeVar("T")
P = ParamSpec("P")


class StepThreads(ThreadPoolExecutor):
    """Threads that tell ``observe`` how many seconds each piece of work waited for one."""

    def __init__(self, threads_max: int, observe: Callable[[float], object]) -> None:
        super().__init__(threads_max, thread_name_prefix="step")
        self._observe = observe

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As every executor's."""
        asked = perf_counter()

        def work() -> T:
            self._observe(perf_counter() - asked)
            return fn(*args, **kwargs)

        return super().submit(work)


class FlowLoop:
    """An event loop in a thread of its own, from ``start`` to ``stop``."""

    def __init__(
        self,
        *,
        within: Callable[[], AbstractContextManager[None]],
        threads_max: int = STEP_THREADS_MAX,
        observe_wait: Callable[[float], object] = lambda _: None,
    ) -> None:
        """Make one that is still to start.

        Args:
            within: Entered in the thread, before anything else: what it sets in its context holds for every call.
            threads_max: Steps that may block at once.
            observe_wait: Told for each of them the seconds that it waited for a thread.
        """
        self._within = within
        self._threads = StepThreads(threads_max, observe_wait)
        self._thread = Thread(target=self._run, name="flows", daemon=True)
        self._up = Event()
        self._context = Context()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop itself. Raises ``RuntimeError`` before it has started."""
        if self._loop is None:
            raise RuntimeError("the Flows' thread has not started")
        return self._loop

    def start(self) -> None:
        """Have the loop run; returns when it does. Raises ``RuntimeError`` where it does not come up."""
        self._thread.start()
        self._up.wait(START_SECONDS_MAX)
        if self._loop is None:
            raise RuntimeError("the Flows' thread did not come up")

    def stop(self) -> None:
        """End the loop, and cancel what still runs on it; returns when it has ended, or does not within a bound.

        Threads inside a step that blocks are left to themselves.
        """
        if self._loop is not None and self._ending is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(START_SECONDS_MAX)

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``work()`` there and give its result, or raise its exception.

        Who cancels the call cancels the work, and waits until it has ended.
        """
        here, there = asyncio.get_running_loop(), self.loop
        outcome: asyncio.Future[T] = here.create_future()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            tasks.append(there.create_task(work()))
            tasks[0].add_done_callback(partial(_tell, here, outcome))

        there.call_soon_threadsafe(begin, context=self._context.copy())
        cancelled = False
        while not outcome.done():
            try:
                await asyncio.wait({outcome})
            except asyncio.CancelledError:
                cancelled = True
                there.call_soon_threadsafe(_cancel, tasks)
        if cancelled:
            if not outcome.cancelled():
                outcome.exception()
            raise asyncio.CancelledError
        return outcome.result()

    async def turn(self) -> None:
        """Return when the loop has been once round: at once where it is idle, late where it is late."""
        await self.call(lambda: asyncio.sleep(0))

    def _run(self) -> None:
        with self._within():
            self._context = copy_context()
            with asyncio.Runner() as runner:
                runner.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(self._threads)
        self._ending = asyncio.Event()
        self._loop = loop
        self._up.set()
        await self._ending.wait()
        mine = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not mine]
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=START_SECONDS_MAX / 2) if left else None
        # The runner would wait for every thread, also for one inside a step that never ends.
        self._threads.shutdown(wait=False, cancel_futures=True)
        loop.set_default_executor(ThreadPoolExecutor(1))


def _cancel(tasks: list[asyncio.Task[T]]) -> None:
    for task in tasks:
        task.cancel()


def _tell(loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[T], task: asyncio.Task[T]) -> None:
    """Have the other loop hear how ``task`` ended, unless that loop is gone."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(_copy, task, outcome)


def _copy(task: asyncio.Task[T], outcome: asyncio.Future[T]) -> None:
    if outcome.done():
        return
    if task.cancelled():
        outcome.cancel()
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())
