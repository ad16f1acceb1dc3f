import json

from deploy.emulator.control_plane.problems import Problem, bad_request, conflict, not_found, unprocessable


def test_a_problem_is_told_as_problem_json_with_its_errors_and_headers() -> None:
    response = Problem(422, "wrong", errors=["$: a", "$: b"], headers={"X-Why": "so"}).response()
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-why"] == "so"
    assert json.loads(bytes(response.body)) == {
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "wrong",
        "errors": ["$: a", "$: b"],
    }


def test_errors_are_left_out_where_there_are_none() -> None:
    assert json.loads(bytes(not_found("worker").response().body)) == {
        "title": "Not Found",
        "status": 404,
        "detail": "worker not found",
    }


def test_each_kind_has_its_status() -> None:
    kinds = [bad_request("x"), not_found("x"), conflict("x"), unprocessable("x")]
    assert [kind.status for kind in kinds] == [400, 404, 409, 422]
