"""The store of runs, seen from another event loop than its own.

A store's connections and files belong to the loop on which it was opened; runs are on another one.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import JsonValue

from orchestrator.runs.run import Event, NewRun, Question, Run, RunState, Step
from orchestrator.runs.store import Ending, Ownership, RunStore

T = TypeVar("T")


class BridgedStore:
    """Every call goes to ``store`` on ``loop``, and its result or exception comes back: a ``RunStore`` itself.

    Who cancels a call cancels it there too, without waiting for its end.
    """

    def __init__(self, store: RunStore, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop

    async def _there(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        error, results = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_outcome(call), self._loop))
        if error is not None:
            raise error
        return results[0]

    async def add(self, new: NewRun) -> tuple[Run, bool]:
        """As the store's."""
        return await self._there(lambda: self._store.add(new))

    async def run(self, name: str) -> Run | None:
        """As the store's."""
        return await self._there(lambda: self._store.run(name))

    async def runs(
        self, *, flow: str = "", states: Sequence[RunState] = (), before_unix: float = 0.0, limit: int = 50
    ) -> Sequence[Run]:
        """As the store's."""
        return await self._there(
            lambda: self._store.runs(flow=flow, states=states, before_unix=before_unix, limit=limit)
        )

    async def own(self, name: str, *, owner: str, lease_seconds: float) -> Ownership | None:
        """As the store's."""
        return await self._there(lambda: self._store.own(name, owner=owner, lease_seconds=lease_seconds))

    async def renew(self, ownership: Ownership, *, lease_seconds: float) -> bool:
        """As the store's."""
        return await self._there(lambda: self._store.renew(ownership, lease_seconds=lease_seconds))

    async def let_go(self, ownership: Ownership) -> None:
        """As the store's."""
        await self._there(lambda: self._store.let_go(ownership))

    async def steps(self, name: str) -> Sequence[Step]:
        """As the store's."""
        return await self._there(lambda: self._store.steps(name))

    async def keep_step(self, ownership: Ownership, step: Step) -> None:
        """As the store's."""
        await self._there(lambda: self._store.keep_step(ownership, step))

    async def tell(self, ownership: Ownership, type_: str, data: dict[str, JsonValue]) -> None:
        """As the store's."""
        await self._there(lambda: self._store.tell(ownership, type_, data))

    async def events(self, name: str, *, after: int = 0, wait_seconds: float = 0.0) -> Sequence[Event]:
        """As the store's."""
        return await self._there(lambda: self._store.events(name, after=after, wait_seconds=wait_seconds))

    async def ask(self, ownership: Ownership, question: Question) -> None:
        """As the store's."""
        await self._there(lambda: self._store.ask(ownership, question))

    async def answer(self, name: str, feedback: str) -> bool:
        """As the store's."""
        return await self._there(lambda: self._store.answer(name, feedback))

    async def feedback(self, name: str) -> Mapping[str, str]:
        """As the store's."""
        return await self._there(lambda: self._store.feedback(name))

    async def end(self, ownership: Ownership, ending: Ending) -> None:
        """As the store's."""
        await self._there(lambda: self._store.end(ownership, ending))

    async def cancel(self, name: str) -> bool:
        """As the store's."""
        return await self._there(lambda: self._store.cancel(name))

    async def resume(self, name: str, *, code: str = "") -> bool:
        """As the store's."""
        return await self._there(lambda: self._store.resume(name, code=code))

    async def lapsed(self) -> Sequence[str]:
        """As the store's."""
        return await self._there(self._store.lapsed)

    async def forget(self, *, before_unix: float) -> int:
        """As the store's."""
        return await self._there(lambda: self._store.forget(before_unix=before_unix))


async def _outcome(call: Callable[[], Coroutine[Any, Any, T]]) -> tuple[Exception | None, list[T]]:
    """What the call raised, or what it gave: nobody may be left to hear of it."""
    try:
        return None, [await call()]
    except Exception as error:  # noqa: BLE001 - raised where the call was made
        return error, []
