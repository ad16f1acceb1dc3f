"""The errors of the fleet."""

from deploy.errors import DeployError
from deploy.fleet.errors import ControlPlaneRefused, StateUnreadable


def test_what_is_wrong_with_a_body_stands_line_by_line() -> None:
    error = ControlPlaneRefused("status 422", remedy="mend it", http_status=422, errors=["$.a: no", "$.b: no"])
    assert error.message == "status 422\n  $.a: no\n  $.b: no"
    assert isinstance(error, DeployError)
    assert error.status == 1


def test_a_state_that_cannot_be_used_is_wrong_usage() -> None:
    assert StateUnreadable("no", remedy="x").status == 2
