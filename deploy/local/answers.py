"""What the gateway and the orchestrator answer, read at the edge; other fields are ignored."""

from pydantic import BaseModel, ConfigDict, JsonValue


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RunpodTrace(_Answer):
    """Where the time of a call went at Runpod; durations are seconds, ``None`` where Runpod did not say."""

    held_seconds: float = 0.0
    """How long the gateway held it until a worker was awake."""
    way: str = ""
    cold: bool = False
    """Whether no worker was awake when it was sent."""
    worker_delay_seconds: float | None = None
    """From its acceptance to a worker's taking it."""
    execution_seconds: float | None = None


class CallRecord(_Answer):
    """How one LLM call ended, as the gateway recorded it.

    Durations are seconds, ``None`` where it never came to it.
    """

    request_id: str
    agent: str
    step: str
    tier: str
    endpoint: str
    reason: str
    outcome: str
    error: str = ""
    queue_delay_seconds: float | None
    time_to_first_token_seconds: float | None
    duration_seconds: float
    input_tokens: int
    output_tokens: int
    cost_microdollars: int
    runpod: RunpodTrace | None = None

    @property
    def worker_delay_seconds(self) -> float | None:
        """The wait at Runpod for a worker, ``None`` where Runpod did not say."""
        return self.runpod.worker_delay_seconds if self.runpod is not None else None

    @property
    def cold_start_seconds(self) -> float | None:
        """What it waited since no worker was awake: held by the gateway, then at Runpod. ``None`` where one was."""
        trace = self.runpod
        if trace is None or not (trace.cold or trace.held_seconds):
            return None
        return trace.held_seconds + ((trace.worker_delay_seconds or 0.0) if trace.cold else 0.0)


class Balance(_Answer):
    """One budget of one owner in its current window; amounts in the budget's unit (``USD``: microdollars)."""

    budget: str
    owner: str
    unit: str
    limit: int
    settled: int
    held: int
    available: int
    window_ends_in_seconds: float


class CallList(_Answer):
    """The body of the gateway's list of calls."""

    data: tuple[CallRecord, ...]


class BalanceList(_Answer):
    """The body of the gateway's list of budgets."""

    data: tuple[Balance, ...]


class FlowResult(_Answer):
    """What the orchestrator says of one run; ``seconds`` is ``None`` until it has ended."""

    run: str = ""
    flow: str = ""
    status: str = ""
    output: JsonValue = None
    error: JsonValue = None
    seconds: float | None = 0.0

    @property
    def reason(self) -> str:
        """Why it failed, for people."""
        return str(self.error.get("message", self.error) if isinstance(self.error, dict) else self.error)
