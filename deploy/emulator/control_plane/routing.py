"""One route for each path, with a handler for each of its methods: so that 405 can name them all."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Handler = Callable[[Request], Awaitable[Response]]


def resource(path: str, **handlers: Handler) -> Route:
    """A path with its handlers by method: ``resource("/v2/x", get=…, post=…)``."""

    async def dispatch(request: Request) -> Response:
        return await handlers["get" if request.method == "HEAD" else request.method.lower()](request)

    return Route(path, dispatch, methods=[method.upper() for method in handlers])
