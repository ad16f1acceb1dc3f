"""Warming ahead for everything that runs inside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crewai.events.stream_context import add_stream_sink, reset_stream_sinks

from orchestrator.settings import Settings
from orchestrator.warming.announcer import Announcer
from orchestrator.warming.wake_call import WakeCall
from orchestrator.warming.watch import StepWatch


@contextmanager
def announced(settings: Settings, *, say: Callable[[str], object]) -> Iterator[None]:
    """Runs in this context, and in every task and thread started from it, announce their tiers to the gateway.

    ``say`` is told once of each thing that goes wrong with that; runs never are.
    """
    announcer = Announcer(WakeCall(settings), say=say)
    token = add_stream_sink(StepWatch(announcer.announce, say=say))
    try:
        yield
    finally:
        reset_stream_sinks(token)
        announcer.close()
