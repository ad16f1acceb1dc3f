"""Which worker served a session last: those seen lately, and no more of them than a bound."""

from typing import Final

SESSIONS_MAX: Final = 10_000


class Sessions:
    """Session → worker; the one unused for longest is forgotten first."""

    __slots__ = ("_max", "_workers")

    def __init__(self, sessions_max: int = SESSIONS_MAX) -> None:
        self._workers: dict[bytes, bytes] = {}
        self._max = sessions_max

    def of(self, session: bytes) -> bytes | None:
        """The worker that is known for it."""
        return self._workers.get(session)

    def note(self, session: bytes, worker: bytes) -> None:
        """``worker`` has just served it."""
        self._workers.pop(session, None)
        self._workers[session] = worker
        if len(self._workers) > self._max:
            del self._workers[next(iter(self._workers))]

    def forget(self, session: bytes | None) -> None:
        """Its worker has gone."""
        if session is not None:
            self._workers.pop(session, None)
