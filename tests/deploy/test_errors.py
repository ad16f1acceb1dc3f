import pytest

from deploy import errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.BadUsage, 2),
        (errors.PortsTaken, 2),
        (errors.ProgramMissing, 2),
        (errors.ProcessDied, 1),
        (errors.NotReady, 1),
        (errors.GatewayUnreadable, 1),
    ],
)
def test_the_exit_status_tells_wrong_usage_from_failure(error: type[errors.DeployError], status: int) -> None:
    assert error("x", remedy="y").status == status


def test_an_error_carries_what_to_do() -> None:
    error = errors.DeployError("it broke", remedy="mend it", log_tail="last words")
    assert (str(error), error.remedy, error.log_tail) == ("it broke", "mend it", "last words")
