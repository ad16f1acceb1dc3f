"""The HTTP surface: metered operations go straight to the pipeline, everything else is a FastAPI handler."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from gateway.budget.ledger import Balance
from gateway.downstream import AsgiClient
from gateway.errors import GatewayError, InvalidRequest, ModelNotFound, RouteNotServed
from gateway.exchange import Caller
from gateway.serving import CLOSE, Serving
from gateway.telemetry.metrics import CONTENT_TYPE
from gateway.wire.envelope import error_body, error_headers
from gateway.wire.operations import OPERATIONS
from gateway.wire.request_head import RequestHead

RECORDS_SHOWN_MAX = 10_000
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
"""What the page at ``/docs`` loads; it comes from an installed package, since no page may depend on a CDN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the gateway can take a request now, and what each part of it says."""

    ready: bool
    checks: dict[str, str]
    tier_map: dict[str, object]
    """Which one is served, and whether the file's is another one that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleShown:
    """What a Runpod endpoint's health address said last: workers by their condition, and jobs."""

    age_seconds: float
    workers: dict[str, int]
    jobs: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointShown:
    """How an endpoint is. From ``state`` on it is what is known of workers, ``None`` where there are none to wake."""

    name: str
    transport: str
    breaker: str
    in_flight: int
    """Requests from the process that answers."""
    state: str | None = None
    since_unix: float | None = None
    held: int | None = None
    """Calls that wait for it, over all processes."""
    workers_max: int | None = None
    slots_per_worker: int | None = None
    wake_expected_seconds: float | None = None
    sample: SampleShown | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierShown:
    """How a tier is."""

    name: str
    model: str
    slots: int
    slots_held: int | None
    """Over all processes; ``None`` where the store does not say."""
    queue_length: int
    """Requests that wait for a slot in the process that answers."""
    endpoints: list[EndpointShown]


@dataclass(frozen=True, slots=True, kw_only=True)
class Woken:
    """What became of a wish to wake a tier."""

    tier: str
    awake: bool
    """It can serve at once; nothing was done."""
    sent: bool
    """A worker was sent for now; otherwise one is on its way already."""
    expected_seconds: float
    endpoints: list[EndpointShown]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the handlers ask of the rest of the gateway; ``app`` fills it in."""

    authenticate: Callable[[bytes | None, bytes | None], Awaitable[Caller]]
    """(``authorization``, ``x-api-key``) → whose key it is; raises ``Unauthorized``."""
    names: Callable[[Caller], Mapping[str, str]]
    """What the caller may send as ``model`` → the tier that serves it."""
    contexts: Callable[[str, Caller], tuple[int, int] | None]
    """Such a tier → how many tokens a request may have there, and with its escalations."""
    readiness: Callable[[], Awaitable[Readiness]]
    metrics: Callable[[], Awaitable[bytes]]
    balances: Callable[[], Awaitable[list[Balance]]]
    records: Callable[[str, str | None, int], Awaitable[list[dict[str, Any]]]]
    """(key's name, run or ``None``, most) → the caller's latest records, oldest first."""
    tiers: Callable[[Caller], Awaitable[list[TierShown]]]
    """The tiers that the caller may use."""
    wake: Callable[[Caller, str], Awaitable[Woken]]
    """Have a worker of a tier woken."""


class Gateway(FastAPI):
    """The application. Its data path is plain ASGI: no router, middleware or model stands before the pipeline."""

    def __init__(self, *, serving: Serving, desk: Desk, version: str) -> None:
        super().__init__(title="Tiergate gateway", version=version, docs_url=None, redoc_url=None)
        self._serving = serving
        self._add_handlers(desk)
        self._add_errors()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: a metered operation is authorised and served by its routed path, never by a URL built from headers."""
        if scope["type"] == "http" and scope["method"] == "POST":
            operation = OPERATIONS.get(scope["path"])
            if operation is not None:
                head = RequestHead(operation, scope["headers"])
                await self._serving.serve(head, AsgiClient(receive, send, declared=head.content_length))
                return
        await super().__call__(scope, receive, _last(send) if self._serving.leaving else send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, metered operations included."""
        if self.openapi_schema is None:
            document = get_openapi(title=self.title, version=self.version, routes=self.routes, description=_DESCRIPTION)
            for operation in OPERATIONS.values():
                document["paths"][operation.path] = {"post": _described(operation.path, operation.name)}
            self.openapi_schema = document
        return self.openapi_schema

    def _add_handlers(self, desk: Desk) -> None:
        known = _caller(desk)

        @self.get("/v1/models", tags=["models"], summary="The names that the key may use")
        async def models(caller: Annotated[Caller, known]) -> dict[str, Any]:
            return {
                "object": "list",
                "data": [_model(name, tier, desk.contexts(tier, caller)) for name, tier in desk.names(caller).items()],
            }

        @self.get("/v1/models/{model:path}", tags=["models"], summary="One of the names that the key may use")
        async def model(model: str, caller: Annotated[Caller, known]) -> dict[str, Any]:
            tier = desk.names(caller).get(model)
            if tier is None:
                raise ModelNotFound(
                    f"No tier, alias or model that this key may use is called {model!r}.", param="model"
                )
            return _model(model, tier, desk.contexts(tier, caller))

        @self.get("/tiergate/v1/requests", tags=["usage"], summary="Records of the key's latest requests")
        async def requests(
            caller: Annotated[Caller, known],
            run: str | None = None,
            limit: Annotated[int, Query(ge=1, le=RECORDS_SHOWN_MAX)] = 100,
        ) -> dict[str, Any]:
            return {"object": "list", "data": await desk.records(caller.name, run, limit)}

        @self.get(
            "/tiergate/v1/budgets",
            tags=["usage"],
            summary="What is left of each budget in its current window",
        )
        async def budgets(caller: Annotated[Caller, known]) -> dict[str, Any]:
            del caller
            balances = await desk.balances()
            return {
                "object": "list",
                "data": [asdict(balance) | {"available": balance.available} for balance in balances],
            }

        @self.get("/healthz", tags=["operations"], summary="Whether the process runs")
        async def healthz() -> dict[str, str]:
            return {"status": "alive"}

        @self.get("/readyz", tags=["operations"], summary="Whether it can take a request now")
        async def readyz() -> JSONResponse:
            readiness = await desk.readiness()
            return JSONResponse(asdict(readiness), status_code=200 if readiness.ready else 503)

        @self.get("/metrics", tags=["operations"], summary="Prometheus metrics", response_class=Response)
        async def metrics() -> Response:
            return Response(await desk.metrics(), headers={"content-type": CONTENT_TYPE})

        self._add_tiers(desk)
        self._add_docs()

    def _add_tiers(self, desk: Desk) -> None:
        known = _caller(desk)

        @self.get(
            "/tiergate/v1/tiers",
            tags=["tiers"],
            summary="How the tiers are that the key may use, and their endpoints",
            responses=_example(200, "The tiers", {"object": "list", "data": [_TIER_EXAMPLE]}),
        )
        async def tiers(caller: Annotated[Caller, known]) -> dict[str, Any]:
            return {"object": "list", "data": [asdict(tier) for tier in await desk.tiers(caller)]}

        @self.post(
            "/tiergate/v1/tiers/{tier}/wake",
            tags=["tiers"],
            summary="Have a worker of the tier woken, once however often it is asked for",
            responses=_example(200, "The tier is awake; nothing was done", _WOKEN_EXAMPLE | {"awake": True})
            | _example(202, "A worker is on its way", _WOKEN_EXAMPLE | {"sent": True, "expected_seconds": 60.0}),
        )
        async def wake(tier: str, caller: Annotated[Caller, known]) -> JSONResponse:
            woken = await desk.wake(caller, tier)
            return JSONResponse(asdict(woken), status_code=200 if woken.awake else 202)

    def _add_docs(self) -> None:
        @self.get("/docs", include_in_schema=False)
        async def docs() -> HTMLResponse:
            return get_swagger_ui_html(
                openapi_url="openapi.json",
                title=self.title,
                swagger_js_url="docs/swagger-ui-bundle.js",
                swagger_css_url="docs/swagger-ui.css",
                swagger_favicon_url="docs/favicon-32x32.png",
            )

        @self.get("/docs/{asset}", include_in_schema=False)
        async def docs_asset(asset: str) -> Response:
            kind = _ASSETS.get(asset)
            if kind is None:
                raise RouteNotServed(f"There is no /docs/{asset}.")
            return Response(files("fastapi_swagger.resources").joinpath(asset).read_bytes(), media_type=kind)

    def _add_errors(self) -> None:
        async def gateway_error(_: Request, error: Exception) -> Response:
            if not isinstance(error, GatewayError):
                error = GatewayError("The gateway failed.")
            headers = {name.decode(): value.decode() for name, value in error_headers(error)}
            return Response(error_body(error), status_code=error.status, headers=headers)

        async def not_served(request: Request, error: Exception) -> Response:
            del error
            served = "GET /openapi.json lists what is served; a route that is not metered is not."
            shown = RouteNotServed(f"{request.method} {request.scope['path']} is not served here. {served}")
            return await gateway_error(request, shown)

        async def invalid(request: Request, error: Exception) -> Response:
            first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": "not valid"}
            field = str(first["loc"][-1]) if first["loc"] else None
            return await gateway_error(request, InvalidRequest(f"{field}: {first['msg']}.", param=field))

        self.add_exception_handler(Exception, gateway_error)
        self.add_exception_handler(GatewayError, gateway_error)
        self.add_exception_handler(HTTPException, not_served)
        self.add_exception_handler(RequestValidationError, invalid)


def _caller(desk: Desk) -> Any:  # noqa: ANN401 - what FastAPI says of its own
    """Whose key a request has; raises ``Unauthorized`` where it is nobody's."""

    async def authenticated(request: Request, _: Annotated[object, Depends(HTTPBearer(auto_error=False))]) -> Caller:
        headers = dict(request.scope["headers"])
        return await desk.authenticate(headers.get(b"authorization"), headers.get(b"x-api-key"))

    return Depends(authenticated)


def _last(send: Send) -> Send:
    """As ``send``; the answer asks its client to come back on another connection."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), CLOSE]
        await send(message)

    return sending


def _example(status: int, description: str, value: object) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": description, "content": {"application/json": {"example": value}}}}


def _model(name: str, tier: str, contexts: tuple[int, int] | None) -> dict[str, Any]:
    sizes = {} if contexts is None else {"max_model_len": contexts[0], "context_window": contexts[1]}
    return {"id": name, "object": "model", "created": 0, "owned_by": "tiergate", "tier": tier, **sizes}


def _described(path: str, name: str) -> dict[str, Any]:
    """One metered operation for the OpenAPI document. Bodies are the endpoint's; these fields the gateway reads."""
    fields: dict[str, Any] = {
        "model": {"type": "string", "description": "A tier, an alias, a model, or `auto`.", "example": "auto"}
    }
    if path == "/v1/chat/completions":
        fields["messages"] = {
            "type": "array",
            "items": {"type": "object"},
            "example": [{"role": "user", "content": "Hi"}],
        }
    body = {"type": "object", "required": ["model"], "properties": fields, "additionalProperties": True}
    answers = {200: "The endpoint's answer, as it is", **_FAILURES}
    return {
        "tags": ["metered"],
        "summary": f"{name}, as OpenAI's API and vLLM define it",
        "operationId": path.strip("/").replace("/", "_"),
        "security": [{"HTTPBearer": []}],
        "parameters": [
            {
                "name": f"x-tiergate-{field}",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": 256},
            }
            for field in ("agent", "flow", "run", "step", "task")
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {str(status): {"description": text} for status, text in answers.items()},
    }


_ENDPOINT_EXAMPLE = {
    "name": "reasoning/0",
    "transport": "runpod-queue",
    "breaker": "closed",
    "in_flight": 1,
    "state": "waking",
    "since_unix": 1795388400.0,
    "held": 3,
    "workers_max": 2,
    "slots_per_worker": 30,
    "wake_expected_seconds": 60.0,
    "sample": {
        "age_seconds": 0.6,
        "workers": {"idle": 0, "initializing": 1, "ready": 0, "running": 0, "throttled": 0, "unhealthy": 0},
        "jobs": {"in_queue": 1, "in_progress": 0},
    },
}
_TIER_EXAMPLE = {
    "name": "reasoning",
    "model": "reasoner",
    "slots": 60,
    "slots_held": 1,
    "queue_length": 0,
    "endpoints": [_ENDPOINT_EXAMPLE],
}
_WOKEN_EXAMPLE = {
    "tier": "reasoning",
    "awake": False,
    "sent": False,
    "expected_seconds": 0.0,
    "endpoints": [_ENDPOINT_EXAMPLE],
}
_FAILURES = {
    400: "The request cannot be read",
    401: "The key is not known",
    402: "A budget is spent",
    403: "The key may not use the tier",
    404: "No such model",
    413: "The body is too large",
    502: "The endpoint failed",
    503: "The tier is saturated, or the gateway is not ready",
    504: "The endpoint stayed silent",
}
_DESCRIPTION = (
    "OpenAI-compatible. Send one of the tier map's keys as bearer token and a tier's name as `model`;"
    " `x-tiergate-agent`, `-flow`, `-run`, `-step` and `-task` say who calls."
)
