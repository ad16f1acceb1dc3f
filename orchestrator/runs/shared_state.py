"""Whose changes are whose, where steps run side by side on one state.

A step is kept with the state after it. What another step, still under way, has changed by then must not be in it: that
step may have to begin again, and would find its own changes. So while several steps are open, the state is looked at
whenever one of them has had its turn on the event loop, and what has changed is that step's; what changes in between is
done in threads, and is the blocking step's that has been open for longest.

Looking is bounded: a quarter of a second at once, and a twentieth of the time in the long run. Where a large state
changes hands more often than that, or a thread and the loop change it in the same instant, a change may be taken for a
neighbour's.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Final

from pydantic import JsonValue

from orchestrator.errors import ValueNotKept
from orchestrator.runs.changes import Change, changed, changes_between

LOOKING_SECONDS_MAX: Final = 0.25
LOOKING_SHARE: Final = 0.05
"""How long a state is looked at: in one go, and as a part of the time in the long run."""


class SharedState:
    """The state of one Flow, as its steps change it. ``look`` writes it as JSON. For the event loop's thread."""

    def __init__(self, look: Callable[[], JsonValue], *, clock: Callable[[], float] = perf_counter) -> None:
        self._look = look
        self._clock = clock
        self._credit = LOOKING_SECONDS_MAX
        self._credited = clock()
        self._begun = False
        self._kept: JsonValue = None
        self._seen: JsonValue = None
        self._open: dict[str, list[Change]] = {}
        self._blocking: list[str] = []
        self._mixed = False

    def opened(self, step: str, *, blocking: bool) -> None:
        """``step`` begins; ``blocking`` ones work in a thread. Raises ``ValueNotKept`` as ``look`` does."""
        if not self._begun:
            self._kept = self._seen = self._look()
            self._begun = True
        elif self._open:
            self._notice(next(iter(self._open)) if len(self._open) == 1 else self._in_thread())
        self._open[step] = []
        if blocking:
            self._blocking.append(step)

    def before_turn(self) -> None:
        """A step goes on: what has changed meanwhile was not its doing, where there are steps in threads."""
        if len(self._open) > 1 and self._blocking and self._may_look():
            self._notice(self._in_thread())

    def after_turn(self, step: str) -> None:
        """``step`` waits again, or has ended: what has changed since was its doing."""
        if len(self._open) > 1 and step in self._open and self._may_look():
            self._notice(step)

    def after(self, step: str) -> JsonValue:
        """The state after ``step``, which ends now and is to be kept. Raises ``ValueNotKept`` as ``look`` does."""
        if len(self._open) == 1 and not self._mixed:
            self._kept = self._seen = self._look()
        else:
            self._see(step)
            self._kept = changed(self._kept, self._open[step])
        self._close(step)
        return self._kept

    def failed(self, step: str) -> None:
        """``step`` ended without anything to keep, and may begin again: its changes stay out of what is kept."""
        if step in self._open:
            self._notice(step)
            self._mixed = self._mixed or bool(self._open[step])
            self._close(step)

    def abandoned(self, step: str) -> None:
        """``step`` was cancelled, as the loser of a race is: it never begins again, and what it changed stays."""
        if step in self._open:
            self._notice(step)
            self._kept = changed(self._kept, self._open[step])
            self._close(step)

    def _close(self, step: str) -> None:
        del self._open[step]
        if step in self._blocking:
            self._blocking.remove(step)

    def _in_thread(self) -> str | None:
        return self._blocking[0] if self._blocking else None

    def _may_look(self) -> bool:
        now = self._clock()
        self._credit = min(LOOKING_SECONDS_MAX, self._credit + LOOKING_SHARE * (now - self._credited))
        self._credited = now
        return self._credit > 0

    def _notice(self, step: str | None) -> None:
        """What has changed is this step's doing; of a state that cannot be kept just now, more will be seen later."""
        if step is None:
            return
        try:
            self._see(step)
        except ValueNotKept:
            return

    def _see(self, step: str) -> None:
        begin = self._clock()
        seen = self._look()
        self._open[step].extend(changes_between(self._seen, seen))
        self._seen = seen
        self._credit -= self._clock() - begin
