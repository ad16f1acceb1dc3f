"""The run of nothing."""

import gc

import pytest
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.flow_events import FlowStartedEvent

from orchestrator.host.first_run import COLLECTED_AT, calm_collector, first_run
from orchestrator.quiet import silence_console


def heard(source: object, event: FlowStartedEvent) -> None:
    """A listener of somebody else's."""
    del source, event


def test_the_collector_leaves_alone_what_is_there() -> None:
    thresholds = gc.get_threshold()
    try:
        calm_collector()
        assert (gc.get_freeze_count() > 0, gc.get_threshold()) == (True, COLLECTED_AT)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("settings")
async def test_after_it_crewais_own_listeners_are_gone_and_others_are_not() -> None:
    silence_console()
    with crewai_event_bus.scoped_handlers():
        crewai_event_bus.on(FlowStartedEvent)(heard)
        await first_run()
        assert crewai_event_bus._sync_handlers == {FlowStartedEvent: frozenset({heard})}
        assert crewai_event_bus._async_handlers == {}
