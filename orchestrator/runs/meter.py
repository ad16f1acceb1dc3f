"""Where the time of a run goes, as far as it can be seen from outside CrewAI: steps, threads, calls."""

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from threading import Lock
from time import perf_counter, thread_time
from typing import Any, Final, Protocol, cast

from pydantic import JsonValue

LAYERS: Final = {
    "orchestration": "cpu_seconds",
    "executor": "executor_wait_seconds",
    "queue": "queue_seconds",
    "hold": "hold_seconds",
    "worker": "worker_seconds",
    "tries": "tries_seconds",
    "first_token": "first_token_seconds",
    "generation": "generation_seconds",
    "answer": "answer_seconds",
}
"""Where a run's time can go, and the sum that says how much of it did."""


class Watch(Protocol):
    """Hears of the turns of one step on the event loop."""

    def before_turn(self) -> None:
        """It goes on now."""

    def after_turn(self) -> None:
        """It waits, or has ended."""


@dataclass(slots=True, kw_only=True)
class Meter:
    """Sums of one run, in seconds and counts; from any thread.

    ``cpu_seconds`` is processor time of the steps' own code: on the event loop, or in the step's thread.
    ``executor_wait_seconds`` is what blocking steps waited for a thread. ``call_seconds`` is the sum of all LLM calls;
    calls that run side by side count side by side. It is made up of what is told of each: ``queue_seconds`` to
    ``tries_seconds`` before the answer began (``call_waits.py``), then ``first_token_seconds`` and
    ``generation_seconds`` of streamed ones, and ``answer_seconds`` of whole ones, which do not tell one from the other.
    """

    steps: int = 0
    steps_restored: int = 0
    retries: int = 0
    step_seconds: float = 0.0
    cpu_seconds: float = 0.0
    executor_wait_seconds: float = 0.0
    calls: int = 0
    calls_failed: int = 0
    call_seconds: float = 0.0
    queue_seconds: float = 0.0
    hold_seconds: float = 0.0
    worker_seconds: float = 0.0
    tries_seconds: float = 0.0
    first_token_seconds: float = 0.0
    generation_seconds: float = 0.0
    answer_seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    _by_step: dict[str, Counter[str]] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, step: str = "", **amounts: float) -> None:
        """Add to the sums of these names, the run's and those of the ``step`` where it is known."""
        with self._lock:
            for name, amount in amounts.items():
                setattr(self, name, getattr(self, name) + amount)
            if step:
                # Counters add numbers of any kind.
                self._by_step.setdefault(step, Counter()).update(cast("dict[str, int]", amounts))

    def usage(self, *, seconds: float) -> dict[str, JsonValue]:
        """For ``Run.usage``; ``seconds`` is how long the run was worked on."""
        with self._lock:
            sums = {name: getattr(self, name) for name in self.__dataclass_fields__ if not name.startswith("_")}
            by_step = {step: dict(each) for step, each in self._by_step.items()}
        return {
            "seconds": round(seconds, 6),
            **_told(sums),
            "by_step": {step: dict(_told(each)) for step, each in by_step.items()},
        }

    def metered(self, method: Callable[..., Any], watch: Watch | None = None, *, step: str = "") -> Callable[..., Any]:
        """A step's method that is measured; a coroutine function stays one, for CrewAI tells them apart.

        ``watch`` hears of each of its turns on the event loop; ``step`` is its name in the sums.
        """
        watch = watch or _Blind()
        if asyncio.iscoroutinefunction(method):

            @wraps(method)
            async def on_loop(*arguments: object, **named: object) -> object:
                return await _Metered(method(*arguments, **named), self, watch, step)

            return on_loop
        asked = perf_counter()

        @wraps(method)
        def in_thread(*arguments: object, **named: object) -> object:
            self.add(step, executor_wait_seconds=perf_counter() - asked)
            begin = thread_time()
            try:
                result = method(*arguments, **named)
            finally:
                self.add(step, cpu_seconds=thread_time() - begin)
            # CrewAI awaits what such a method returns, on the loop.
            return _await_metered(result, self, watch, step) if inspect.iscoroutine(result) else result

        return in_thread


async def _await_metered(coroutine: Coroutine[Any, Any, object], meter: Meter, watch: Watch, step: str) -> object:
    return await _Metered(coroutine, meter, watch, step)


def _told(sums: Mapping[str, Any]) -> dict[str, JsonValue]:
    """As a record has them, with the layer in which most time went; "" where none took any."""
    slowest = max(LAYERS, key=lambda layer: sums.get(LAYERS[layer], 0.0))
    return {
        **{name: round(value, 6) if isinstance(value, float) else value for name, value in sums.items()},
        "slowest_layer": slowest if sums.get(LAYERS[slowest], 0.0) > 0 else "",
    }


class _Blind:
    """Watches nothing."""

    def before_turn(self) -> None:
        pass

    def after_turn(self) -> None:
        pass


class _Metered:
    """Drives a coroutine and adds the processor time of each of its turns."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], meter: Meter, watch: Watch, step: str) -> None:
        self._step = step
        self._coroutine = coroutine
        self._meter = meter
        self._watch = watch

    def __await__(self) -> Generator[Any, Any, object]:
        send: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            self._watch.before_turn()
            begin = thread_time()
            try:
                awaited = send(value)
            except StopIteration as end:
                return end.value
            finally:
                self._meter.add(self._step, cpu_seconds=thread_time() - begin)
                self._watch.after_turn()
            try:
                send, value = self._coroutine.send, (yield awaited)
            except BaseException as error:  # noqa: BLE001 - passed on to the coroutine, whose it is
                send, value = self._coroutine.throw, error
