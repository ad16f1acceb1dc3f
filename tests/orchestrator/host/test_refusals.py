"""Refusals as documents."""

from orchestrator.errors import InputProblem
from orchestrator.host.refusals import REFUSALS, Refused


def test_a_refusal_says_what_happened_and_what_to_do() -> None:
    refused = Refused("inputs_refused", "No.", (InputProblem(field="topic", reason="too long"),))
    assert refused.status == 422
    assert refused.document() == {
        "error": {
            "code": "inputs_refused",
            "message": "No.",
            "remedy": REFUSALS["inputs_refused"].remedy,
            "problems": [{"field": "topic", "reason": "too long"}],
        }
    }


def test_who_may_try_again_is_told_when() -> None:
    for code, refusal in REFUSALS.items():
        assert ("retry-after" in Refused(code, "No.").headers) is (refusal.status == 503)
        assert refusal.remedy.endswith(".")
