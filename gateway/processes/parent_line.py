"""The child's side of the line to its parent: orders come in, words go out, and the end of it is the parent's end."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from gateway.checked_map import MapRejected, check
from gateway.processes.assignment import (
    Forget,
    Leave,
    Note,
    Order,
    Prepare,
    Swap,
    Told,
    Word,
    encoded,
    read_order,
)
from gateway.served import Outcome
from gateway.succession import Succession

_READ_BYTES = 65_536
_ERROR_CHARACTERS_MAX = 10_000
"""The parent reads lines of 64 KiB; one character may take six bytes."""


class ParentLine:
    """Reads from one descriptor and writes to another.

    Attributes:
        told: Whether the parent was told that this process serves, or why it cannot.
        torn: Whether the parent has ended.
    """

    def __init__(self, ear: int, mouth: int, *, tiers_file: str) -> None:
        self.told = self.torn = False
        self._ear = ear
        self._mouth = mouth
        self._tiers_file = tiers_file
        self._heard = b""
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._asking: deque[asyncio.Future[Outcome]] = deque()
        self._on_end: Callable[[], None] | None = None

    def tell(self, word: Word) -> None:
        """Say it. A parent that is gone does not hear it, which ``listen`` notices."""
        self.told = True
        with suppress(OSError):
            os.write(self._mouth, encoded(word))

    def listen(self, on_end: Callable[[], None]) -> None:
        """Take orders from now on; ``on_end`` is called when the parent ends."""
        self._on_end = on_end
        asyncio.get_running_loop().add_reader(self._ear, self._on_readable)

    def close(self) -> None:
        """Listen no longer."""
        asyncio.get_running_loop().remove_reader(self._ear)

    async def ask(self) -> Outcome:
        """Ask for the tier map's file to be read again."""
        asking: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._asking.append(asking)
        self.tell(Word(asks=True))
        return await asking

    def ask_aloud(self) -> None:
        """Ask for the same, and do not wait."""
        self._asking.append(asyncio.get_running_loop().create_future())
        self.tell(Word(asks=True))

    async def obey(self, succession: Succession, leave: Callable[[], None]) -> None:
        """Do what the parent says, one order after the other; runs until cancelled."""
        while True:
            match await self._orders.get():
                case Prepare() as order:
                    self.tell(await self._prepared(order, succession))
                case Swap():
                    succession.swap()
                    self.tell(Word())
                case Forget():
                    succession.forget()
                case Note(rejected=rejected):
                    succession.note(rejected)
                case Leave():
                    leave()
                case Told(outcome=outcome):
                    asking = self._asking.popleft()
                    if not asking.done():  # whoever asked may have left
                        asking.set_result(outcome)

    async def _prepared(self, order: Prepare, succession: Succession) -> Word:
        try:
            checked = await asyncio.to_thread(check, order.tiers, file=self._tiers_file)
            await succession.prepare(checked, order.served)
        except MapRejected as rejected:
            return Word(error=str(rejected)[:_ERROR_CHARACTERS_MAX])
        return Word()

    def _on_readable(self) -> None:
        data = os.read(self._ear, _READ_BYTES)
        if not data:
            self.torn = True
            self.close()
            if self._on_end is not None:
                self._on_end()
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            order = read_order(line)
            if order is not None:
                self._orders.put_nowait(order)
