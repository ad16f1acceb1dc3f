"""An interrupt that ends a run although the Flow, or CrewAI, would rather go on.

The first Ctrl-C cancels the run, so that it may end what it began. A step that swallows the cancellation, and CrewAI's
wait for its own event handlers (up to 30 seconds, with the event loop stopped), would hold it up: a second interrupt,
which breaks into whatever runs, follows by itself.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType

PATIENCE_SECONDS = 3.0
"""How long a cancelled run has to end by itself."""


@contextmanager
def interrupted_in_earnest(patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Within a loop that ``asyncio.Runner`` runs in the main thread: follow the first SIGINT with a second."""
    first = signal.getsignal(signal.SIGINT)
    timer = Timer(patience_seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, first)
        timer.start()
        if callable(first):
            first(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, first)
