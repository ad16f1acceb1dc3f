"""Everything that the app refuses, by its code: one document, with a status, a sentence and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.errors import InputProblem, OrchestratorError

RETRY_SECONDS: Final = 5
"""What ``retry-after`` says where another try may go well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A kind of refusal: its HTTP status, and what the caller can do about it."""

    status: int
    remedy: str


REFUSALS: Final[Mapping[str, Refusal]] = {
    "body_invalid": Refusal(status=422, remedy="Send what the field's reason asks for; /openapi.json has examples."),
    "inputs_refused": Refusal(status=422, remedy="Give inputs that the Flow's state takes. Nothing was started."),
    "token_refused": Refusal(status=401, remedy="Send this app's token as X-Tiergate-Token."),
    "path_unknown": Refusal(status=404, remedy="Look at /openapi.json for what there is."),
    "method_refused": Refusal(status=405, remedy="Use a method that the header Allow names."),
    "flow_unknown": Refusal(status=404, remedy="Name one of the Flows that this app hosts."),
    "run_unknown": Refusal(
        status=404,
        remedy="Look at the name. Runs are forgotten some time after their end; those kept in a worker's own "
        "directory are known to that worker alone: send its affinity header.",
    ),
    "run_conflict": Refusal(
        status=409, remedy="Use another name or idempotency key, or repeat the very request that it was used with."
    ),
    "run_ended": Refusal(status=409, remedy="Nothing is to be cancelled. A failed or cancelled run can be resumed."),
    "run_not_resumable": Refusal(
        status=409, remedy="Only failed and cancelled runs are resumed. Wait for its end, or start another run."
    ),
    "run_not_waiting": Refusal(status=409, remedy="Ask for the run: it waits for nobody now."),
    "code_changed": Refusal(
        status=409,
        remedy='Start another run, or resume this one with {"accept_changed_code": true}: the steps that are kept '
        "stay as the old code left them.",
    ),
    "body_too_large": Refusal(status=413, remedy="Send less, or an address where the data is."),
    "runs_waiting": Refusal(status=503, remedy="Try again later, or have more workers."),
    "warming_up": Refusal(status=503, remedy="Try again in some seconds."),
    "draining": Refusal(status=503, remedy="Try again: another worker takes it."),
    "store_unavailable": Refusal(status=503, remedy="Try again later; look at the store of runs."),
    "internal_error": Refusal(status=500, remedy="Look at the worker's log."),
}
"""Code → what it means. Codes are stable, messages are not."""


class Refused(OrchestratorError):
    """A request that is refused, with ``code`` from ``REFUSALS``; ``problems`` are fields at fault."""

    def __init__(self, code: str, message: str, problems: tuple[InputProblem, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.problems = problems

    @property
    def status(self) -> int:
        """The HTTP status."""
        return REFUSALS[self.code].status

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers: when another try may go well."""
        return {"retry-after": str(RETRY_SECONDS)} if self.status == 503 else {}  # noqa: PLR2004 - a status

    def document(self) -> dict[str, object]:
        """The answer's body."""
        error: dict[str, object] = {"code": self.code, "message": str(self), "remedy": REFUSALS[self.code].remedy}
        if self.problems:
            error["problems"] = [{"field": each.field, "reason": each.reason} for each in self.problems]
        return {"error": error}
