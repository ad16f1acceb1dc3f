"""Every way a request can fail, one class each.

A class states what the client is told: HTTP status, OpenAI ``type`` and ``code``, whether the OpenAI SDK should try
again, and the low-cardinality ``outcome`` word that metrics and records use.

    GatewayError
    ├── InvalidRequest             400  invalid_request        client_error
    │   ├── BodyTooLarge           413  body_too_large         client_error
    │   ├── HeadTooLarge           431  head_too_large         client_error
    │   └── RequestTooSlow         408  request_too_slow       client_error
    ├── Unauthorized               401  invalid_api_key        unauthorized
    │   └── KeyExpired             401  key_expired            unauthorized
    ├── TierNotAllowed             403  tier_not_allowed       client_error
    ├── AgentNotAllowed            403  agent_not_allowed      client_error
    ├── RunDeadlinePassed          403  run_deadline_passed    client_error
    ├── KeyExceedsMaker            403  key_exceeds_maker      client_error
    ├── KeyNotFound                404  key_not_found          client_error
    ├── BudgetNotFound             404  budget_not_found       client_error
    ├── RouteNotServed             404  route_not_served       client_error
    ├── ModelNotFound              404  model_not_found        client_error
    ├── BudgetExhausted            402  budget_exhausted       budget_exhausted
    │   └── BudgetTooSmall         402  budget_too_small       budget_exhausted
    ├── TierSaturated              503  tier_saturated         shed
    │   └── TierCold               503  tier_cold              shed
    ├── RateLimited                503  rate_limited           shed
    ├── ConcurrencyLimited         503  concurrency_limited    shed
    ├── StoreUnavailable           503  store_unavailable      shed
    ├── GatewayFull                503  gateway_full           shed
    ├── UpstreamFailed             502  upstream_failed        upstream_error
    │   ├── UpstreamUnreachable    503  upstream_unreachable   upstream_error
    │   ├── UpstreamAnswered       its  upstream_error         upstream_error
    │   ├── UpstreamRefused        502  upstream_refused       upstream_error
    │   ├── EndpointsUnavailable   503  endpoints_unavailable  upstream_error
    │   └── UpstreamTimeout        504  upstream_timeout       timeout
    └── ClientDisconnected         499  client_disconnected    disconnected

Texts matter: CrewAI reads them. It retries on the words "rate limit", "too many requests", "throttled" and "resource
exhausted", and starts to summarise on "too many tokens" and "context length exceeded"; none of these may appear in a
message here, so what an endpoint said is repeated in other words. Status 429 is kept for rate limits: CrewAI turns one
into 27 requests, a 503 into 9 and a 402 into 3.
"""

import re
from typing import ClassVar

_REWORDED = {
    "rate limit": "limit of requests",
    "rate-limit": "limit of requests",
    "too many requests": "more requests than allowed",
    "throttled": "slowed down",
    "resource exhausted": "resource used up",
    "too many tokens": "more tokens than allowed",
    "context length exceeded": "context too small",
    "context_length_exceeded": "context too small",
    "context window full": "context too small",
    "maximum context length": "size of the context",
    "exceeds token limit": "has more tokens than allowed",
    "input is too long": "input does not fit",
    "expected a string with maximum length": "expected a shorter string",
}
"""What CrewAI 1.15 looks for in an error's text (``crewai/llms/retry.py``, its context-window exception) → what is
said instead."""
_TRIGGERS = re.compile("|".join(map(re.escape, _REWORDED)), re.IGNORECASE)


class GatewayError(Exception):
    """The gateway could not serve this request.

    Attributes:
        message: What happened and what to do, for the person who reads the agent's log. Never holds a secret.
        param: The request field that is at fault, where there is one.
        retry_after_seconds: When trying again makes sense; ``None`` where the gateway cannot know.
        retry: Whether the OpenAI SDK may try again by itself; ``False`` is sent as ``x-should-retry: false``.
        headers: What else the client is told, as names and values of headers.
    """

    status: int = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    outcome: ClassVar[str] = "upstream_error"
    retry: ClassVar[bool] = True

    def __init__(self, message: str, *, param: str | None = None, retry_after_seconds: float | None = None) -> None:
        message = _TRIGGERS.sub(lambda found: _REWORDED[found[0].lower()], message)
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds
        self.headers: tuple[tuple[bytes, bytes], ...] = ()


class InvalidRequest(GatewayError):
    """The request cannot be read or lacks a field that the gateway needs."""

    status, type, code, outcome, retry = (
        400,
        "invalid_request_error",
        "invalid_request",
        "client_error",
        False,
    )


class BodyTooLarge(InvalidRequest):
    """The request's body is larger than the gateway accepts."""

    status, code = 413, "body_too_large"


class HeadTooLarge(InvalidRequest):
    """The request line and headers are larger than the gateway accepts."""

    status, code = 431, "head_too_large"


class RequestTooSlow(InvalidRequest):
    """The request's head or body did not come fast enough."""

    status, code = 408, "request_too_slow"


class Unauthorized(GatewayError):
    """No key was sent, or the gateway does not know it."""

    status, type, code, outcome, retry = 401, "authentication_error", "invalid_api_key", "unauthorized", False


class KeyExpired(Unauthorized):
    """The key is known, but its time is over."""

    code = "key_expired"


class TierNotAllowed(GatewayError):
    """The key is known but may not use the tier that the request asks for."""

    status, type, code, outcome, retry = 403, "permission_error", "tier_not_allowed", "client_error", False


class AgentNotAllowed(GatewayError):
    """The key is known but may not be used by the agent that calls."""

    status, type, code, outcome, retry = 403, "permission_error", "agent_not_allowed", "client_error", False


class RunDeadlinePassed(GatewayError):
    """The run's own deadline has passed, so nothing of it is served any more."""

    status, type, code, outcome, retry = 403, "permission_error", "run_deadline_passed", "client_error", False


class KeyExceedsMaker(GatewayError):
    """The key that is to be made could do more than the one that makes it, or that one may make none."""

    status, type, code, outcome, retry = 403, "permission_error", "key_exceeds_maker", "client_error", False


class KeyNotFound(GatewayError):
    """There is no such virtual key, or it is not one that the asker made."""

    status, type, code, outcome, retry = 404, "invalid_request_error", "key_not_found", "client_error", False


class BudgetNotFound(GatewayError):
    """There is no budget of that name."""

    status, type, code, outcome, retry = 404, "invalid_request_error", "budget_not_found", "client_error", False


class RouteNotServed(GatewayError):
    """The path or method is not one that the gateway meters, so it is not served."""

    status, type, code, outcome, retry = (
        404,
        "invalid_request_error",
        "route_not_served",
        "client_error",
        False,
    )


class ModelNotFound(GatewayError):
    """The request's ``model`` names no tier, alias or model of the tier map."""

    status, type, code, outcome, retry = (
        404,
        "invalid_request_error",
        "model_not_found",
        "client_error",
        False,
    )


class BudgetExhausted(GatewayError):
    """What is left of a budget does not cover the worst case of this request."""

    status, type, code, outcome, retry = (
        402,
        "insufficient_quota",
        "budget_exhausted",
        "budget_exhausted",
        False,
    )

    cheaper: bool = True
    """Whether a cheaper tier may serve the request: the budget's ``spent`` is ``downgrade``."""


class BudgetTooSmall(BudgetExhausted):
    """The worst case of this request is more than the whole budget of a window: waiting will not help."""

    code = "budget_too_small"


class TierSaturated(GatewayError):
    """Every slot of the tier is taken and its queue is full, or the wait in it was too long."""

    status, type, code, outcome = 503, "overloaded_error", "tier_saturated", "shed"


class TierCold(TierSaturated):
    """No worker of the tier is awake, and none is expected in time."""

    code = "tier_cold"


class RateLimited(GatewayError):
    """So many requests or tokens of a minute are used up that this one does not fit in time."""

    status, type, code, outcome = 503, "overloaded_error", "rate_limited", "shed"


class ConcurrencyLimited(GatewayError):
    """An owner has as many requests under way as it may have."""

    status, type, code, outcome = 503, "overloaded_error", "concurrency_limited", "shed"


class StoreUnavailable(GatewayError):
    """The store that keeps budgets and slots cannot be reached; without it nothing is spent."""

    status, type, code, outcome = 503, "overloaded_error", "store_unavailable", "shed"


class GatewayFull(GatewayError):
    """The gateway process has as many open connections as it may have."""

    status, type, code, outcome = 503, "overloaded_error", "gateway_full", "shed"


class UpstreamFailed(GatewayError):
    """The endpoint gave no usable answer: the connection broke, or what came was not HTTP or not OpenAI."""

    status, type, code, outcome = 502, "server_error", "upstream_failed", "upstream_error"


class UpstreamUnreachable(UpstreamFailed):
    """No connection to the endpoint could be made; nothing was sent."""

    status, code = 503, "upstream_unreachable"


class UpstreamAnswered(UpstreamFailed):
    """The endpoint answered with an error of its own that is not the caller's fault; its status is passed on.

    But for 429: the endpoint's limit is not the caller's, so it becomes a 503 with the endpoint's ``retry-after``.

    Attributes:
        limited: Whether that was so: the endpoint is well, but full.
    """

    code = "upstream_error"

    def __init__(self, message: str, *, status: int, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.limited = status == 429  # noqa: PLR2004 - RFC 6585's number
        self.status = 503 if self.limited else status


class UpstreamRefused(UpstreamFailed):
    """The endpoint refused the gateway's own credentials or knows nothing of the tier's model."""

    code, retry = "upstream_refused", False


class EndpointsUnavailable(UpstreamFailed):
    """Every endpoint of the tier is left alone at present, because it failed or asked for it; nothing was sent.

    Attributes:
        resting: Whether one of them is well, and only asked for some time.
    """

    status, code = 503, "endpoints_unavailable"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, resting: bool = False) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.resting = resting


class UpstreamTimeout(UpstreamFailed):
    """The endpoint stayed silent longer than the tier's timeouts allow."""

    status, type, code, outcome = 504, "server_error", "upstream_timeout", "timeout"


class ClientDisconnected(GatewayError):
    """The client closed its connection before the answer was complete."""

    status, type, code, outcome = 499, "client_disconnected", "client_disconnected", "disconnected"
