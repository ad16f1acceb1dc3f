"""What happens before the first run, phase by phase: each is told with its seconds, and one that fails ends the worker.

A balancer waits for minutes on a worker that says that it is still starting, and bills it: one that can never serve
has to say so and go.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.errors import OrchestratorError

GATEWAY_SECONDS_MAX: Final = 300.0
"""How long a gateway may be away while a worker starts; Runpod gives up on a worker after seven minutes."""
POLL_SECONDS: Final = 0.5
PHASE_SECONDS_MAX: Final = 300.0


class WarmUpFailed(OrchestratorError):
    """A phase failed: the worker will never serve. The message names the phase, its seconds and the reason."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A piece of the start: its name in the log, and what it does."""

    name: str
    work: Callable[[], Awaitable[object]]


async def warm_up(
    phases: Sequence[Phase], *, say: Callable[[str], object], phase_seconds_max: float = PHASE_SECONDS_MAX
) -> None:
    """Go through the phases in order. Raises ``WarmUpFailed`` for the first that fails or takes too long."""
    clock = asyncio.get_running_loop().time
    began = clock()
    for phase in phases:
        phase_began = clock()
        try:
            async with asyncio.timeout(phase_seconds_max):
                await phase.work()
        except TimeoutError as error:
            raise WarmUpFailed(f"start-up: {phase.name} took longer than {phase_seconds_max:g} s") from error
        except Exception as error:
            reason = str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"
            seconds = clock() - phase_began
            raise WarmUpFailed(f"start-up: {phase.name} failed after {seconds:.1f} s: {reason}") from error
        say(f"start-up: {phase.name} took {clock() - phase_began:.2f} s")
    say(f"start-up: ready after {clock() - began:.2f} s")


class KeyRefused(OrchestratorError):
    """The gateway answers, and does not know this orchestrator's key: waiting will not help."""


async def until_reachable(
    why_not: Callable[[], Awaitable[str]],
    *,
    seconds_max: float = GATEWAY_SECONDS_MAX,
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Wait until ``why_not`` gives an empty reason. Raises ``WarmUpFailed`` with the last one when the time is over."""
    reason = ""
    try:
        async with asyncio.timeout(seconds_max):
            while reason := await why_not():  # noqa: ASYNC110 - another program's condition: nobody tells when it has come
                await asyncio.sleep(poll_seconds)
    except TimeoutError as error:
        raise WarmUpFailed(f"it did not answer within {seconds_max:g} s: {reason or 'no answer'}") from error
