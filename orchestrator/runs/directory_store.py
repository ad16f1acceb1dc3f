"""Runs in a directory, for a single worker: on one machine, or on a volume that one worker mounts.

    lock                      held by the process that uses the directory
    runs/NAME/run.json        the run, written to another file, forced to disk and put in its place
    runs/NAME/steps.jsonl     a step a line, forced to disk before the next step begins
    runs/NAME/events.jsonl    an event a line

A line that a dying process did not finish is cut off when the directory is opened. What ran when the process died is
anybody's at once: whoever holds the lock is alone.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, Final, ParamSpec, TypeVar

from pydantic import JsonValue

from orchestrator.errors import OwnershipLost, RunConflict, StoreUnavailable
from orchestrator.run_names import is_run_name
from orchestrator.runs.journal_file import JournalFile
from orchestrator.runs.kept_run import KeptRun
from orchestrator.runs.records import first_record, json_text, step_from, step_text
from orchestrator.runs.run import Event, NewRun, Question, Run, RunState, Step
from orchestrator.runs.store import Ending, Ownership

EVENTS_AT_ONCE_MAX: Final = 1_000
"""Events of one answer; who wants more asks again."""

_POLL_SECONDS = 0.05

P = ParamSpec("P")
R = TypeVar("R")


class DirectoryRunStore:
    """Fulfils ``RunStore``. It may be used from several threads and event loops; every write happens in a thread."""

    def __init__(self, directory: Path, *, unix: Callable[[], float]) -> None:
        """Take ``directory``, made where it is missing, for this process; ``unix`` is the clock.

        Raises:
            StoreUnavailable: Another process uses it, or it cannot be written.
        """
        self._unix = unix
        self._guards: dict[str, Lock] = {}
        self._runs: dict[str, _Open] = {}
        try:
            (directory / "runs").mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise StoreUnavailable(
                f"{directory} is used by another process. Several workers need a store in Redis."
            ) from error
        except OSError as error:
            raise StoreUnavailable(f"{directory} cannot be used for runs: {error.strerror}.") from error
        self._folder = directory / "runs"
        for folder in sorted(self._folder.iterdir()):
            if (folder / "run.json").is_file():
                self._runs[folder.name] = _Open.found(folder)

    async def close(self) -> None:
        """Let another process use the directory."""
        os.close(self._lock)

    async def add(self, new: NewRun) -> tuple[Run, bool]:
        """As ``RunStore``."""
        return await self._in_thread("", self._add, new)

    async def run(self, name: str) -> Run | None:
        """As ``RunStore``."""
        opened = self._runs.get(name)
        return None if opened is None else opened.kept.run

    async def runs(
        self, *, flow: str = "", states: Sequence[RunState] = (), before_unix: float = 0.0, limit: int = 50
    ) -> Sequence[Run]:
        """As ``RunStore``."""
        # A copy, which is made in one go; the event loop waits for no lock.
        every = [opened.kept.run for opened in list(self._runs.values())]
        found = [
            run
            for run in every
            if flow in {"", run.flow}
            and (not states or run.state in states)
            and (not before_unix or run.created_unix < before_unix)
        ]
        return sorted(found, key=lambda run: run.created_unix, reverse=True)[:limit]

    async def own(self, name: str, *, owner: str, lease_seconds: float) -> Ownership | None:
        """As ``RunStore``."""
        fence = await self._in_thread(name, self._own, name, owner, lease_seconds)
        return None if fence is None else Ownership(name=name, owner=owner, fence=fence)

    async def renew(self, ownership: Ownership, *, lease_seconds: float) -> bool:
        """As ``RunStore``; a lease needs no file: it ends with the process."""
        return await self._in_thread(ownership.name, self._renew, ownership, lease_seconds)

    async def let_go(self, ownership: Ownership) -> None:
        """As ``RunStore``."""
        await self._in_thread(ownership.name, self._let_go, ownership)

    async def steps(self, name: str) -> Sequence[Step]:
        """As ``RunStore``."""
        opened = self._runs.get(name)
        return [] if opened is None else [step_from(line) for line in opened.steps.lines()]

    async def keep_step(self, ownership: Ownership, step: Step) -> None:
        """As ``RunStore``."""
        await self._in_thread(ownership.name, self._keep_step, ownership, step)

    async def tell(self, ownership: Ownership, type_: str, data: dict[str, JsonValue]) -> None:
        """As ``RunStore``."""
        await self._in_thread(ownership.name, lambda: self._tell(self._owned(ownership), type_, data))

    async def events(self, name: str, *, after: int = 0, wait_seconds: float = 0.0) -> Sequence[Event]:
        """As ``RunStore``; ``EVENTS_AT_ONCE_MAX`` at once."""
        clock = asyncio.get_running_loop().time
        until = clock() + wait_seconds
        while True:
            opened = self._runs.get(name)
            if opened is not None and opened.events.count > after:
                lines = opened.events.lines(after, EVENTS_AT_ONCE_MAX)
                return [Event(number=after + number, **json.loads(line)) for number, line in enumerate(lines, 1)]
            if clock() >= until:
                return []
            await asyncio.sleep(min(_POLL_SECONDS, max(0.0, until - clock())))

    async def ask(self, ownership: Ownership, question: Question) -> None:
        """As ``RunStore``."""
        await self._in_thread(ownership.name, self._ask, ownership, question)

    async def answer(self, name: str, feedback: str) -> bool:
        """As ``RunStore``."""
        return await self._in_thread(name, self._answer, name, feedback)

    async def feedback(self, name: str) -> Mapping[str, str]:
        """As ``RunStore``."""
        opened = self._runs.get(name)
        return {} if opened is None else opened.kept.answers

    async def end(self, ownership: Ownership, ending: Ending) -> None:
        """As ``RunStore``."""
        await self._in_thread(ownership.name, self._end, ownership, ending)

    async def cancel(self, name: str) -> bool:
        """As ``RunStore``."""
        return await self._in_thread(name, self._cancel, name)

    async def resume(self, name: str, *, code: str = "") -> bool:
        """As ``RunStore``."""
        return await self._in_thread(name, self._resume, name, code)

    async def lapsed(self) -> Sequence[str]:
        """As ``RunStore``."""
        now = self._unix()
        return [name for name, opened in list(self._runs.items()) if opened.kept.lapsed(now)]

    async def forget(self, *, before_unix: float) -> int:
        """As ``RunStore``."""
        return await self._in_thread("", self._forget, before_unix)

    async def _in_thread(self, name: str, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Do it where the disk holds up nobody, and to its end though nobody waits any more; one at a time for a run.

        What is for all runs has the name "".
        """
        guard = self._guards.setdefault(name, Lock())

        def guarded() -> R:
            with guard:
                return work(*arguments, **named)

        try:
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, guarded))
        except OSError as error:
            raise StoreUnavailable(f"The runs in {self._folder} cannot be written: {error.strerror}.") from error

    def _add(self, new: NewRun) -> tuple[Run, bool]:
        if new.idempotency_key:
            for opened in self._runs.values():
                if opened.kept.idempotency_key == new.idempotency_key:
                    if opened.kept.request != new.request:
                        raise RunConflict(
                            "The idempotency key was used with another request. Use a new key for a new request."
                        )
                    return opened.kept.run, False
        if new.name in self._runs or not is_run_name(new.name):
            raise RunConflict(f"There is a run named {new.name!r} already. Give another name, or none.")
        run = first_record(new, created_unix=self._unix())
        kept = KeptRun(run=run, idempotency_key=new.idempotency_key, request=new.request)
        folder = self._folder / new.name
        folder.mkdir(exist_ok=True)
        for name in ("steps", "events"):
            (folder / f"{name}.jsonl").unlink(missing_ok=True)
        opened = _Open(folder, kept)
        opened.write(kept)
        self._runs[new.name] = opened
        self._tell(opened, "run.queued", {})
        return run, True

    def _own(self, name: str, owner: str, lease_seconds: float) -> int | None:
        opened = self._runs.get(name)
        now = self._unix()
        if opened is None or not (opened.kept.run.state is RunState.QUEUED or opened.kept.lapsed(now)):
            return None
        run, fence = opened.kept.run, opened.kept.fence + 1
        taken = replace(run, owner=owner, attempts=run.attempts + 1, started_unix=run.started_unix or now)
        self._become(opened, taken, RunState.RUNNING, fence=fence, lease_until=now + lease_seconds)
        return fence

    def _renew(self, ownership: Ownership, lease_seconds: float) -> bool:
        opened = self._owned(ownership)
        opened.kept = replace(opened.kept, lease_until=self._unix() + lease_seconds)
        return opened.kept.run.cancel_wanted

    def _let_go(self, ownership: Ownership) -> None:
        opened = self._runs.get(ownership.name)
        if opened is not None and opened.kept.owned_by(ownership):
            self._become_unless_cancelled(opened, opened.kept.run, RunState.QUEUED)

    def _keep_step(self, ownership: Ownership, step: Step) -> None:
        opened = self._owned(ownership)
        if step.key not in opened.keys:
            opened.steps.append(step_text(step), to_disk=True)
            opened.keys.add(step.key)
            opened.kept = replace(opened.kept, run=replace(opened.kept.run, steps=len(opened.keys)))

    def _ask(self, ownership: Ownership, question: Question) -> None:
        opened = self._owned(ownership)
        self._become_unless_cancelled(opened, replace(opened.kept.run, question=question), RunState.WAITING)

    def _answer(self, name: str, feedback: str) -> bool:
        opened = self._runs.get(name)
        question = None if opened is None else opened.kept.run.question
        if opened is None or question is None or opened.kept.run.state is not RunState.WAITING:
            return False
        answers = {**opened.kept.answers, question.step: feedback}
        self._become(opened, replace(opened.kept.run, question=None), RunState.QUEUED, answers=answers)
        return True

    def _end(self, ownership: Ownership, ending: Ending) -> None:
        opened = self._owned(ownership)
        run = replace(
            opened.kept.run,
            ended_unix=self._unix(),
            output=ending.output,
            final_state=ending.final_state or {},
            problem=ending.problem,
            usage=ending.usage or {},
        )
        self._become(opened, run, ending.state)

    def _cancel(self, name: str) -> bool:
        opened = self._runs.get(name)
        if opened is None or opened.kept.run.state.ended:
            return False
        run = opened.kept.run
        if run.state is RunState.RUNNING and not opened.kept.lapsed(self._unix()):
            opened.write(replace(opened.kept, run=replace(run, cancel_wanted=True)))
        else:
            self._cancelled(opened)
        return True

    def _resume(self, name: str, code: str) -> bool:
        opened = self._runs.get(name)
        if opened is None or opened.kept.run.state not in {RunState.FAILED, RunState.CANCELLED}:
            return False
        run = opened.kept.run
        again = replace(run, ended_unix=0.0, cancel_wanted=False, problem=None, code=code or run.code)
        self._become(opened, again, RunState.QUEUED)
        return True

    def _forget(self, before_unix: float) -> int:
        forgotten = 0
        for name in list(self._runs):
            with self._guards.setdefault(name, Lock()):
                run = self._runs[name].kept.run
                if run.state.ended and run.ended_unix < before_unix:
                    self._runs.pop(name).remove()
                    self._guards.pop(name)
                    forgotten += 1
        return forgotten

    def _cancelled(self, opened: "_Open") -> None:
        self._become(opened, replace(opened.kept.run, question=None, ended_unix=self._unix()), RunState.CANCELLED)

    def _become_unless_cancelled(self, opened: "_Open", run: Run, state: RunState) -> None:
        if run.cancel_wanted:
            self._cancelled(opened)
        else:
            self._become(opened, run, state)

    def _become(self, opened: "_Open", run: Run, state: RunState, **changes: Any) -> None:  # noqa: ANN401 - any field
        owner = run.owner if state is RunState.RUNNING else ""
        kept = replace(opened.kept, **{"lease_until": 0.0, **changes})
        opened.write(replace(kept, run=replace(run, state=state, owner=owner)))
        self._tell(opened, f"run.{state.value}", {})

    def _tell(self, opened: "_Open", type_: str, data: Mapping[str, JsonValue]) -> None:
        opened.events.append(json_text({"type": type_, "unix": self._unix(), "data": data}))

    def _owned(self, ownership: Ownership) -> "_Open":
        opened = self._runs.get(ownership.name)
        if opened is None or not opened.kept.owned_by(ownership):
            raise OwnershipLost(f"{ownership.owner} does not own the run {ownership.name!r} any more.")
        return opened


class _Open:
    """One run's folder: what is in it, and its files."""

    def __init__(self, folder: Path, kept: KeptRun) -> None:
        self._folder = folder
        self.kept = kept
        self.steps = JournalFile(folder / "steps.jsonl")
        self.events = JournalFile(folder / "events.jsonl")
        self.keys = {step_from(line).key for line in self.steps.lines()}

    @classmethod
    def found(cls, folder: Path) -> "_Open":
        """As a process left it; nobody owns it any more."""
        opened = cls(folder, KeptRun.from_text((folder / "run.json").read_text(encoding="utf-8")))
        opened.kept = replace(opened.kept, lease_until=0.0, run=replace(opened.kept.run, steps=len(opened.keys)))
        return opened

    def write(self, kept: KeptRun) -> None:
        """Have it on disk as a whole, or as it was."""
        draft = self._folder / "run.json.new"
        with draft.open("w", encoding="utf-8") as file:
            file.write(kept.text())
            file.flush()
            os.fsync(file.fileno())
        # The folder itself is not forced: after a crash of the machine the run is as it was before, or as it is now.
        draft.replace(self._folder / "run.json")
        self.kept = kept

    def remove(self) -> None:
        """Have it gone, ``run.json`` first: a folder without it is no run."""
        for name in ("run.json", "steps.jsonl", "events.jsonl"):
            (self._folder / name).unlink(missing_ok=True)
        self._folder.rmdir()
