"""Every way the orchestrator itself can refuse or fail, one class each.

    OrchestratorError
    ├── SettingsInvalid    the environment lacks something or holds something unusable
    ├── FlowUnusable       MODULE:CLASS cannot be turned into a Flow that runs
    ├── ProjectRefused     a new project cannot have that name, or cannot be written there
    ├── InputsRefused      the inputs do not fit the Flow's typed state
    ├── RunFailed          the Flow started and ended with an exception
    ├── RunConflict        a run's name or idempotency key was used for something else
    ├── ValueNotKept       a step's output or the state holds something that cannot be kept
    ├── OwnershipLost      another worker has taken the run over, or it ended
    └── StoreUnavailable   the store of runs does not answer

The first four are found before any agent starts. What a Flow raises is kept as ``RunFailed.__cause__``; its
one line for people comes from ``orchestrator.cause``.
"""

from dataclasses import dataclass


class OrchestratorError(Exception):
    """The orchestrator could not do what it was asked; the message says what happened and what to do."""


class SettingsInvalid(OrchestratorError):
    """A setting is missing or unusable; the message names the variable and the remedy, never a secret."""


class FlowUnusable(OrchestratorError):
    """The target names no module, no class in it, no Flow class, or a Flow that cannot be made."""


class ProjectRefused(OrchestratorError):
    """A new project cannot have that name, or its folder cannot be used; nothing was overwritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputProblem:
    """One refused input: its field in the Flow's state, dotted where it is nested, and the reason."""

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InputsRefused(OrchestratorError):
    """The inputs do not fit the Flow's typed state; ``problems`` names every field at fault."""

    def __init__(self, flow: str, problems: tuple[InputProblem, ...]) -> None:
        super().__init__(f"{flow} refuses its inputs: " + "; ".join(map(str, problems)))
        self.problems = problems


class RunFailed(OrchestratorError):
    """A Flow started and did not finish. ``str()`` is one line; the Flow's own exception is the cause.

    ``state`` is the Flow's state at the moment of failure, ready for JSON.
    """

    def __init__(self, message: str, *, run: str, flow: str, seconds: float, state: dict[str, object]) -> None:
        super().__init__(message)
        self.run = run
        self.flow = flow
        self.seconds = seconds
        self.state = state


class RunConflict(OrchestratorError):
    """There is a run of that name, or the idempotency key was used with another request; nothing was started."""


class ValueNotKept(OrchestratorError):
    """Something in a step's output or in the state cannot be kept, or what was kept cannot be read back.

    The message names where it is, and what to do.
    """


class OwnershipLost(OrchestratorError):
    """The worker does not own the run any more: its lease ran out and another took it, or the run ended."""


class StoreUnavailable(OrchestratorError):
    """The store of runs does not answer, or refuses; the message says where it is, never its password."""
