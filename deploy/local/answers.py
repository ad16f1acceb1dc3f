"""What the gateway and the orchestrator answer, read at the edge; other fields are ignored."""

from pydantic import BaseModel, ConfigDict, JsonValue


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


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
    """What the orchestrator prints of one run."""

    run: str = ""
    flow: str = ""
    status: str = ""
    output: JsonValue = None
    error: JsonValue = None
    seconds: float = 0.0
