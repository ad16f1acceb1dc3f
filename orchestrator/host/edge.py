"""What stands before every handler: the app's own token, the size of a body, and refusals as documents."""

import hmac
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.errors import InputProblem, StoreUnavailable
from orchestrator.host.refusals import Refused
from orchestrator.settings import Secret

TOKEN_HEADER: Final = "x-tiergate-token"  # noqa: S105 - a header's name
OPEN_PATHS: Final = frozenset({"/ping"})
"""What answers without a token: the balancer's health check has none."""
BODY_BYTES_MAX: Final = 30_000_000
"""What the balancer lets through each way."""
_CODES: Final = {404: "path_unknown", 405: "method_refused", 413: "body_too_large"}
_TOO_LARGE: Final = "The body is larger than {} bytes."
_SOURCES: Final = frozenset({"body", "query", "path", "header"})


class TokenGate:
    """Lets in who shows the app's token, in a header of its own: ``Authorization`` is for the balancer's edge."""

    def __init__(self, app: ASGIApp, *, token: Secret) -> None:
        self._app = app
        self._token = token.reveal().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or hand on."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._shown(scope):
            await self._app(scope, receive, send)
            return
        await answer(Refused("token_refused", "X-Tiergate-Token is missing or wrong."))(scope, receive, send)

    def _shown(self, scope: Scope) -> bool:
        shown = [value for name, value in scope["headers"] if name == TOKEN_HEADER.encode()]
        return len(shown) == 1 and hmac.compare_digest(shown[0], self._token)


class SizeGate:
    """Refuses a body that is larger than the balancer would let through, before it is in memory."""

    def __init__(self, app: ASGIApp, *, bytes_max: int = BODY_BYTES_MAX) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413, or hand on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._bytes_max:
                await answer(self._too_large())(scope, receive, send)
                return
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > self._bytes_max:
                # FastAPI hands on this one alone while it reads a body.
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)

    def _too_large(self) -> Refused:
        return Refused("body_too_large", _TOO_LARGE.format(self._bytes_max))


def answer(refused: Refused) -> JSONResponse:
    """The answer to what was refused."""
    return JSONResponse(refused.document(), status_code=refused.status, headers=refused.headers)


def answer_refusals(app: FastAPI) -> None:
    """Have every refusal and failure of ``app`` answered as a document."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(StoreUnavailable, _store_unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _internal)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    return answer(error) if isinstance(error, Refused) else await _internal(_request, error)


async def _store_unavailable(_request: Request, error: Exception) -> JSONResponse:
    return answer(Refused("store_unavailable", str(error)))


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    problems = error.errors() if isinstance(error, RequestValidationError) else ()
    return answer(
        Refused(
            "body_invalid",
            "The request is not what this path takes.",
            tuple(InputProblem(field=_field(problem["loc"]), reason=str(problem["msg"])) for problem in problems),
        )
    )


def _field(location: tuple[object, ...]) -> str:
    """Where the problem is: a dotted field of the body, else what part of the request it is in."""
    names = [str(each) for each in location if isinstance(each, str)]
    inner = names[1:] if names and names[0] in _SOURCES else names
    return ".".join(inner) or "body"


async def _http(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = {
        404: "There is no such path.",
        405: "The path takes other methods.",
        413: _TOO_LARGE.format(BODY_BYTES_MAX),
    }.get(status, str(getattr(error, "detail", "")))
    response = answer(Refused(_CODES.get(status, "body_invalid" if status < 500 else "internal_error"), message))  # noqa: PLR2004 - a status
    response.status_code = status
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def _internal(_request: Request, error: Exception) -> JSONResponse:
    return answer(Refused("internal_error", f"{type(error).__name__} in this worker."))
