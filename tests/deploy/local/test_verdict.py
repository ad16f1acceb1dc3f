from deploy.local.answers import Balance, CallRecord
from deploy.local.verdict import problems, unsettled

CALL = CallRecord(
    request_id="req-1",
    agent="triage",
    step="classify",
    tier="routing",
    endpoint="routing/0",
    reason="tier",
    outcome="ok",
    queue_delay_seconds=0,
    time_to_first_token_seconds=0.2,
    duration_seconds=1,
    input_tokens=10,
    output_tokens=5,
    cost_microdollars=3,
)
BALANCE = Balance(
    budget="daily",
    owner="routing",
    unit="USD",
    limit=100,
    settled=3,
    held=0,
    available=97,
    window_ends_in_seconds=60,
)


def _problems(*, flow: str = "", calls: tuple[CallRecord, ...] = (CALL,), after: Balance = BALANCE) -> list[str]:
    return problems(flow_failure=flow, calls=calls, before=[BALANCE], after=[after])


def test_a_run_whose_calls_are_ok_and_settled_has_no_problem() -> None:
    assert _problems() == []


def test_everything_that_went_wrong_is_told() -> None:
    nameless = CALL.model_copy(update={"agent": "", "tier": "", "outcome": "unauthorized"})
    failed = CALL.model_copy(update={"outcome": "timeout", "error": "upstream_timeout"})
    held = BALANCE.model_copy(update={"held": 7})
    assert _problems(flow="the Flow failed", calls=(nameless, CALL, failed), after=held) == [
        "the Flow failed",
        "LLM call req-1 of an unnamed agent on tier - ended as unauthorized",
        "LLM call req-1 of triage on tier routing ended as timeout (upstream_timeout)",
        "budget daily of routing still holds 7 for calls that have ended",
    ]


def test_a_run_without_a_recorded_call_went_wrong() -> None:
    assert _problems(calls=()) == ["the gateway recorded no LLM call of this run: the Flow did not call it"]


def test_only_what_a_run_holds_beyond_what_was_held_before_counts() -> None:
    """A killed run's reservations live until they expire; the next run is not to blame for them."""
    before = [BALANCE.model_copy(update={"held": 5})]
    other = BALANCE.model_copy(update={"owner": "reasoning", "held": 1})
    assert unsettled(before, [BALANCE.model_copy(update={"held": 5}), BALANCE]) == []
    assert unsettled(before, [BALANCE.model_copy(update={"held": 6}), other]) == [
        BALANCE.model_copy(update={"held": 6}),
        other,
    ]
