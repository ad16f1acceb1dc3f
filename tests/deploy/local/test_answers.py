"""The agreed forms of the gateway's and the orchestrator's answers."""

import pytest
from pydantic import ValidationError

from deploy.local.answers import CallList, FlowResult


def test_fields_that_a_later_gateway_adds_do_no_harm() -> None:
    text = """{"object": "list", "new": 1, "data": [{"request_id": "r", "agent": "a", "step": "", "tier": "t",
      "endpoint": "t/0", "reason": "tier", "outcome": "ok", "error": "", "queue_delay_seconds": null,
      "time_to_first_token_seconds": null, "duration_seconds": 1.5, "input_tokens": 1, "output_tokens": 2,
      "cost_microdollars": 3, "newer": true}]}"""
    (call,) = CallList.model_validate_json(text).data
    assert (call.agent, call.queue_delay_seconds, call.cost_microdollars) == ("a", None, 3)


def test_a_list_without_its_data_is_no_list() -> None:
    with pytest.raises(ValidationError):
        CallList.model_validate_json('{"object": "list"}')


def test_a_flows_output_may_be_any_json() -> None:
    result = FlowResult.model_validate_json('{"run": "r", "output": {"reply": ["a", 1]}, "state": {}}')
    assert result.output == {"reply": ["a", 1]}
