"""A refusal of the control plane: one exception, told as ``application/problem+json``."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"
VALIDATION_DETAIL = "Request validation failed."


class Problem(Exception):
    """The control plane refuses a request.

    Attributes:
        status: The HTTP status.
        detail: Why, for a person.
        errors: For a body or parameter that has the wrong form: one line for each thing that is wrong.
        headers: Headers of the answer beside its type.
    """

    def __init__(
        self, status: int, detail: str, *, errors: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer that tells it."""
        body: dict[str, object] = {
            "title": _title(self.status),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        return JSONResponse(body, status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE)


def _title(status: int) -> str:
    """A status in words: those of Runpod, which are older than Python's latest; ``Error`` where there are none."""
    try:
        return HTTPStatus(status).phrase.replace("Unprocessable Content", "Unprocessable Entity")
    except ValueError:
        return "Error"


def bad_request(detail: str) -> Problem:
    """400: the request breaks a rule, or there is no capacity for it. Runpod tells the two apart by words alone."""
    return Problem(HTTPStatus.BAD_REQUEST, detail)


def not_found(what: str) -> Problem:
    """404: there is no such thing, or it is another account's."""
    return Problem(HTTPStatus.NOT_FOUND, f"{what} not found")


def conflict(detail: str) -> Problem:
    """409: it contradicts what is there."""
    return Problem(HTTPStatus.CONFLICT, detail)


def unprocessable(*errors: str) -> Problem:
    """422: the request has the wrong form."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, VALIDATION_DETAIL, errors=errors)


async def answer_problem(_: Request, problem: Exception) -> Response:
    """Starlette's handler for ``Problem``."""
    assert isinstance(problem, Problem)  # noqa: S101 - it is registered for nothing else
    return problem.response()
