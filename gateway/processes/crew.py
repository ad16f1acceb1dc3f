"""All processes together: one tier map for all of them at any time, and one after the other replaced by a new one."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

from gateway.checked_map import CheckedMap, MapRejected
from gateway.processes.assignment import Assignment, Forget, Note, Prepare, Swap, Told, Word
from gateway.processes.member import Member, ProcessEnded, ProcessFailed
from gateway.processes.seat import Seat
from gateway.served import Outcome, Rejection, ServedMap
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.opening import EMBEDDED
from gateway.telemetry.log import Log

KEEP_UP_SECONDS = 1.0
"""How often it is looked for processes that began while the tier map changed."""


class Asks(Protocol):
    """What can be asked to read the tier map's file again."""

    async def __call__(self) -> Outcome:
        """What came of it."""


class Assignments:
    """What the processes are told: the same to each, but for its number, its socket and its file.

    Attributes:
        text: Of the tier map in service.
        served: The same, by its number.
        rejected: Why the file's tier map is not the one in service, where it is not.
    """

    def __init__(
        self,
        settings: Settings,
        first: CheckedMap,
        served: ServedMap,
        *,
        folder: str,
        store: Store,
        url: str,
        admin: str,
    ) -> None:
        """``admin`` is the admin key's digest."""
        self.text = first.text
        self.served = served
        self.rejected: Rejection | None = None
        self._settings = settings
        self._folder = folder
        self._store = store
        self._admin = admin
        # The embedded store is this process's; where it is, its client knows.
        path = store.client.connection_pool.connection_kwargs["path"] if url == EMBEDDED else ""
        self._url = f"unix://{quote(path)}" if path else url

    def of(self, number: int, listener: socket.socket, file: str) -> Assignment:
        """For the process with this number; ``file`` is where it writes its series."""
        return Assignment(
            process=number,
            listener=listener.fileno(),
            folder=self._folder,
            file=file,
            store_url=self._url,
            store_description=self._store.description,
            store_remedy=self._store.remedy,
            tiers_file=str(self._settings.tiers_file),
            tiers=self.text,
            served=self.served,
            rejected=self.rejected,
            state_directory=str(self._settings.state_directory),
            body_bytes_max=self._settings.body_bytes_max,
            drain_seconds=self._settings.drain_seconds,
            drain_delay_seconds=self._settings.drain_delay_seconds,
            runpod_speed=self._settings.runpod_speed,
            slot_lease_seconds=self._settings.slot_lease_seconds,
            records_max=self._settings.records_max,
            records_days=self._settings.records_days,
            admin_listen=self._settings.admin_listen,
            runpod_key=str(self._settings.runpod_key or ""),
            runpod_url=self._settings.runpod_url,
            admin_digest=self._admin,
        )


class Crew:
    """Fulfils ``gateway.reload.Server`` for all processes."""

    def __init__(self, assignments: Assignments, log: Log) -> None:
        self.seats: Sequence[Seat] = ()
        self._assignments = assignments
        self._log = log
        self._asking: asyncio.Queue[Member] = asyncio.Queue()
        self._lock = asyncio.Lock()

    async def take_over(self, checked: CheckedMap, served: ServedMap) -> None:
        """Let all serve ``checked``: all prepare it, and only when all have do they take it.

        Raises:
            MapRejected: One cannot; then all keep what they have.
        """
        async with self._lock:
            members = self._members()
            order = Prepare(tiers=checked.text, served=served)
            words = await asyncio.gather(*(_asked(member, order) for member in members))
            problems = {word.error for word in words if word.error}
            if problems:
                for member in members:
                    member.tell(Forget())
                raise MapRejected(tuple(sorted(problems)), hash=checked.hash)
            self._assignments.text, self._assignments.served = checked.text, served
            self._assignments.rejected = None
            await asyncio.gather(*(self._swap(member, served) for member in members))

    async def reject(self, rejection: Rejection | None) -> None:
        """See ``gateway.reload.Server``."""
        self._assignments.rejected = rejection
        for member in self._members():
            member.tell(Note(rejected=rejection))

    async def restart(self) -> None:
        """Replace one process after the other, each by one that serves already. Stops where that fails."""
        for number, seat in enumerate(self.seats):
            try:
                await seat.replace()
            except ProcessFailed as error:
                self._log.event("process.start_failed", process=number, error=str(error))
                return
        self._log.event("gateway.restarted", processes=len(self.seats))

    def asked(self, member: Member) -> None:
        """A process asks for the tier map to be read again."""
        self._asking.put_nowait(member)

    async def run(self, reload: Asks) -> None:
        """Answer what processes ask, and bring those up to date that began meanwhile; runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer(reload))
            group.create_task(self._keep_up())

    async def _answer(self, reload: Asks) -> None:
        while True:
            member = await self._asking.get()
            member.tell(Told(outcome=await reload()))

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(KEEP_UP_SECONDS)
            async with self._lock:
                served = self._assignments.served
                for member in self._members():
                    if member.generation != served.generation:
                        await _asked(member, Prepare(tiers=self._assignments.text, served=served))
                        await self._swap(member, served)

    async def _swap(self, member: Member, served: ServedMap) -> None:
        word = await _asked(member, Swap())
        if not word.error:
            member.generation = served.generation

    def _members(self) -> list[Member]:
        return [seat.member for seat in self.seats if seat.member is not None]


async def _asked(member: Member, order: Prepare | Swap) -> Word:
    try:
        return await member.ask(order)
    except ProcessEnded:
        return Word()  # another is started in its place, with what is in service then
    except ProcessFailed as error:
        return Word(error=str(error))
