"""The agreed forms of the gateway's and the orchestrator's answers."""

import pytest
from pydantic import ValidationError

from deploy.local.answers import CallList, CallRecord, FlowResult, RunpodTrace
from tests.deploy.local.test_verdict import CALL


def test_fields_that_a_later_gateway_adds_do_no_harm() -> None:
    text = """{"object": "list", "new": 1, "data": [{"request_id": "r", "agent": "a", "step": "", "tier": "t",
      "endpoint": "t/0", "reason": "tier", "outcome": "ok", "error": "", "queue_delay_seconds": null,
      "time_to_first_token_seconds": null, "duration_seconds": 1.5, "input_tokens": 1, "output_tokens": 2,
      "cost_microdollars": 3, "newer": true}]}"""
    (call,) = CallList.model_validate_json(text).data
    assert (call.agent, call.queue_delay_seconds, call.cost_microdollars) == ("a", None, 3)


@pytest.mark.parametrize(
    ("trace", "worker_delay", "cold_start"),
    [
        (None, None, None),
        (RunpodTrace(), None, None),
        (RunpodTrace(worker_delay_seconds=0.1), 0.1, None),
        (RunpodTrace(cold=True, worker_delay_seconds=60.0), 60.0, 60.0),
        (RunpodTrace(cold=True), None, 0.0),
        (RunpodTrace(held_seconds=50.0, worker_delay_seconds=0.5), 0.5, 50.0),
        (RunpodTrace(cold=True, held_seconds=5.0, worker_delay_seconds=60.0), 60.0, 65.0),
    ],
)
def test_a_cold_start_is_what_a_call_waited_since_no_worker_was_awake(
    trace: RunpodTrace | None, worker_delay: float | None, cold_start: float | None
) -> None:
    """Held by the gateway until one was, or at Runpod, where it was sent to wake one."""
    call: CallRecord = CALL.model_copy(update={"runpod": trace})
    assert (call.worker_delay_seconds, call.cold_start_seconds) == (worker_delay, cold_start)


def test_a_gateways_record_tells_what_runpod_said() -> None:
    text = CALL.model_dump_json().replace(
        '"runpod":null', '"runpod":{"held_seconds":2.5,"way":"job","cold":false,"job":"j"}'
    )
    (call,) = CallList.model_validate_json(f'{{"data": [{text}]}}').data
    assert (call.runpod is not None and call.runpod.way, call.cold_start_seconds) == ("job", 2.5)


def test_a_list_without_its_data_is_no_list() -> None:
    with pytest.raises(ValidationError):
        CallList.model_validate_json('{"object": "list"}')


def test_a_flows_output_may_be_any_json() -> None:
    result = FlowResult.model_validate_json('{"run": "r", "output": {"reply": ["a", 1]}, "state": {}}')
    assert result.output == {"reply": ["a", 1]}
