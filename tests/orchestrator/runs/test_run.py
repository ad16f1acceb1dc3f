"""What is kept of a run, as its readers use it."""

import pytest

from orchestrator.runs.run import RunBounds, RunState, Step


@pytest.mark.parametrize("state", list(RunState))
def test_a_run_that_ended_is_nobodys_to_do(state: RunState) -> None:
    assert state.ended is (state in {"succeeded", "failed", "cancelled"})


def test_a_step_in_a_loop_has_a_name_for_each_time() -> None:
    first, second = (
        Step(method="draft", number=number, output=None, state={}, started_unix=0.0, seconds=0.0) for number in (1, 2)
    )
    assert (first.key, second.key) == ("draft#1", "draft#2")


@pytest.mark.parametrize(
    ("usd", "sent"),
    [(0.5, "0.500000"), (0.1, "0.100000"), (1e-7, "0.000000"), (0.0000019, "0.000001"), (12, "12.000000")],
)
def test_money_is_sent_in_whole_microdollars_and_never_more_than_was_asked_for(usd: float, sent: str) -> None:
    assert RunBounds(usd_max=usd).headers() == {"x-tiergate-run-max-usd": sent}


def test_a_runs_bounds_are_headers_and_what_is_not_bound_is_not_sent() -> None:
    assert RunBounds().headers() == {}
    assert RunBounds(calls_max=7, deadline_unix=1_795_420_800.5).headers() == {
        "x-tiergate-run-max-calls": "7",
        "x-tiergate-run-deadline": "1795420800.500000",
    }
