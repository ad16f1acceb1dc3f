"""The orchestrator's own errors carry what their readers need."""

from orchestrator.errors import InputProblem, InputsRefused, OrchestratorError, RunFailed


def test_refused_inputs_name_the_flow_and_every_field() -> None:
    problems = (InputProblem(field="a", reason="missing"), InputProblem(field="b.c", reason="no number"))
    error = InputsRefused("MyFlow", problems)
    assert str(error) == "MyFlow refuses its inputs: a: missing; b.c: no number"
    assert error.problems == problems


def test_a_failed_run_is_one_of_ours_and_knows_its_run() -> None:
    error = RunFailed("why", run="r", flow="F", seconds=1.5, state={"a": 1})
    assert isinstance(error, OrchestratorError)
    assert (str(error), error.run, error.flow, error.seconds, error.state) == ("why", "r", "F", 1.5, {"a": 1})
