"""Tier maps, requests and records for tests of the gateway's steps."""

import json
from typing import Any

from gateway.exchange import Attempt, Caller, Exchange
from gateway.record import Charge, RequestRecord
from gateway.wire.call import Call, read_call
from gateway.wire.operations import OPERATIONS, Operation
from tests.tiers.samples import tier
from tiers.naming import names
from tiers.price import TokenPrice
from tiers.tiermap import Budget, Endpoint, Key, Owner, Route, Tier, TierMap
from tiers.windows import Window

CHAT = OPERATIONS["/v1/chat/completions"]
EMBEDDINGS = OPERATIONS["/v1/embeddings"]
CALLER = Caller(name="demo")
FOREVER = 10**9
"""A window that began in 2001 and ends in 2033: no test crosses its border."""

USAGE = {"prompt_tokens": 7, "completion_tokens": 3}
ANSWER = json.dumps({"choices": [{"message": {"content": "Hello"}}], "usage": USAGE}).encode()


def token_tier(name: str = "routing", **fields: Any) -> Tier:  # noqa: ANN401 - any of Tier's fields
    """A tier at one microdollar per token in and two per token out, with two slots; its template adds nothing."""
    return tier(
        name,
        **{
            "template_tokens": 0,
            "price": TokenPrice(input_microdollars=1_000_000, output_microdollars=2_000_000),
            "endpoints": (Endpoint(name=f"{name}/0", url=f"http://{name}.test/v1"),),
            **fields,
        },
    )


def budget(
    limit: int = 1_000_000, *, name: str = "money", unit: str = "USD", kind: str = "all", pattern: str = "*"
) -> Budget:
    """A budget over a window that does not end during a test."""
    return Budget(
        name=name, owner=Owner(kind=kind, pattern=pattern), unit=unit, limit=limit, window=Window(seconds=FOREVER)
    )


def tier_map(
    *tiers: Tier, budgets: tuple[Budget, ...] = (), routes: tuple[Route, ...] = (), keys: tuple[Key, ...] = ()
) -> TierMap:
    """A tier map of these parts."""
    by_name = {each.name: each for each in tiers}
    return TierMap(store="embedded", tiers=by_name, routes=routes, budgets=budgets, keys=keys, names=names(by_name))


def request(model: str = "routing", **fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    """The body of a chat completion."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()


def call(model: str = "routing", operation: Operation = CHAT, **fields: Any) -> Call:  # noqa: ANN401 - any JSON
    """The same, peeked at."""
    return read_call(request(model, **fields), operation)


def exchange(**fields: Any) -> Exchange:  # noqa: ANN401 - any of Exchange's fields
    """A request that was authenticated and read."""
    made = Exchange(request_id="req_1", received_at=1000.0, received_unix=1_800_000_000.0, operation=CHAT)
    for name, value in ({"call": call(), "caller": CALLER} | fields).items():
        setattr(made, name, value)
    return made


def attempt(**fields: Any) -> Attempt:  # noqa: ANN401 - any of Attempt's fields
    """An attempt at the only endpoint of a tier."""
    served_by = fields.pop("tier", token_tier())
    made = Attempt(tier=served_by, reason="tier")
    for name, value in ({"endpoint_name": served_by.endpoints[0].name} | fields).items():
        setattr(made, name, value)
    return made


def record(**fields: Any) -> RequestRecord:  # noqa: ANN401 - any of the record's fields
    """How a streamed chat ended well."""
    return RequestRecord(
        **{
            "request_id": "req_1",
            "received_unix": 1_800_000_000.25,
            "operation": "chat",
            "stream": True,
            "model": "auto",
            "key": "demo",
            "agent": "writer",
            "flow": "report",
            "run": "run-1",
            "step": "draft",
            "task": "",
            "tier": "routing",
            "endpoint": "routing/0",
            "reason": "route:default",
            "attempts": 1,
            "status": 200,
            "outcome": "ok",
            "error": "",
            "queue_delay_seconds": 0.5,
            "time_to_first_byte_seconds": 0.75,
            "time_to_first_token_seconds": 1.0,
            "duration_seconds": 3.0,
            "upstream_seconds": 2.25,
            "input_tokens": 12,
            "output_tokens": 5,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "usage_reported": True,
            "gpu_seconds": 0.75,
            "cost_microdollars": 120,
            "charges": (Charge(tier="routing", endpoint="routing/0", gpu_seconds=0.75, cost_microdollars=120),),
            **fields,
        }
    )
