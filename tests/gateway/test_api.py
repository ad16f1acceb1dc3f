"""The HTTP surface, as clients see it."""

import json
import re
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway.api import EndpointShown, Gateway, Woken
from gateway.authenticate import digest
from gateway.checked_map import text_hash
from gateway.exchange import Caller
from gateway.telemetry.shared import SharedSeries
from tests.doubles.client import FakeClient
from tests.doubles.transport import FakeResponse
from tests.gateway.composed import BASE, KEY, ROUTING_KEY, Composed, composed, place_of
from tests.gateway.samples import ANSWER, record, request


@pytest.fixture
def subject() -> Composed:
    return composed()


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error in an answer, which must have OpenAI's form."""
    assert response.headers["content-type"] == "application/json"
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


async def test_a_metered_operation_goes_to_the_pipeline(subject: Composed) -> None:
    """By its path."""
    subject.transport.then(FakeResponse(ANSWER))
    async with subject.client() as client:
        response = await client.post("/v1/chat/completions", content=request())
    assert (response.status_code, response.content) == (200, ANSWER)
    assert response.headers["x-tiergate-tier"] == "routing"
    assert [line["event"] for line in subject.logged()] == ["request.ended"]


async def test_the_path_that_counts_is_the_one_that_was_routed(subject: Composed) -> None:
    """A forged Host header cannot make another path of it."""
    client = FakeClient(request())
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/unmetered",
        "raw_path": b"/v1/unmetered",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"host", b"x/v1/chat/completions?"), (b"authorization", b"Bearer " + KEY.encode())],
    }
    await subject.parts.gateway(scope, client.receive, client.send)
    assert (client.status, client.error["code"]) == (404, "route_not_served")
    assert not subject.transport.requests


async def test_models_are_the_names_that_a_key_may_use(subject: Composed) -> None:
    """Tiers, aliases, models and ``auto``, each with its tier."""
    response = await subject.get("/v1/models")
    assert response.json()["object"] == "list"
    assert {model["id"]: model["tier"] for model in response.json()["data"]} == {
        "routing": "routing",
        "small": "routing",
        "org/routing-8B": "routing",
        "reasoning": "reasoning",
        "org/reasoning-8B": "reasoning",
        "auto": "auto",
    }
    assert response.json()["data"][0] == {
        "id": response.json()["data"][0]["id"],
        "object": "model",
        "created": 0,
        "owned_by": "tiergate",
        "tier": "routing",
        "max_model_len": 1000,
        "context_window": 1000,
    }
    mine = await subject.get("/v1/models", key=ROUTING_KEY)
    assert {model["tier"] for model in mine.json()["data"]} == {"routing", "auto"}


async def test_a_model_may_have_a_slash_in_its_name(subject: Composed) -> None:
    """As those of Hugging Face have."""
    assert (await subject.get("/v1/models/org/routing-8B")).json()["id"] == "org/routing-8B"
    response = await subject.get("/v1/models/reasoning", key=ROUTING_KEY)
    assert response.status_code == 404
    assert (error_of(response)["code"], error_of(response)["param"]) == ("model_not_found", "model")


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/v1/models/routing", "/tiergate/v1/requests", "/tiergate/v1/budgets", "/tiergate/v1/tiers"],
)
async def test_what_a_key_is_for_needs_one(subject: Composed, path: str) -> None:
    """401 in OpenAI's form."""
    for key in (None, "wrong"):
        response = await subject.get(path, key=key)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert error_of(response)["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 404),
        ("POST", "/v1/images/generations", 404),
        ("POST", "/v1/chat/completions/", 404),
        ("GET", "/", 404),
        ("POST", "/v1/models", 404),
        ("DELETE", "/healthz", 404),
    ],
)
async def test_a_route_that_is_not_metered_is_not_served(
    subject: Composed, method: str, path: str, status: int
) -> None:
    """And a client need not try again."""
    async with subject.client() as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert error_of(response)["code"] == "route_not_served"
    assert f"{method} {path} is not served here" in error_of(response)["message"]
    assert response.headers["x-should-retry"] == "false"


async def test_a_caller_sees_its_own_records(subject: Composed) -> None:
    """Of one run, where it asks for one."""
    rows = [record(request_id="mine"), record(request_id="run-2", run="run-2"), record(request_id="x", key="other")]
    subject.redis.entries = [(b"1-1", {b"record": msgspec.json.encode(row)}) for row in reversed(rows)]
    response = await subject.get("/tiergate/v1/requests")
    assert [row["request_id"] for row in response.json()["data"]] == ["mine", "run-2"]
    assert response.json()["data"][0]["outcome"] == "ok"
    response = await subject.get("/tiergate/v1/requests?run=run-2&limit=1")
    assert [row["request_id"] for row in response.json()["data"]] == ["run-2"]


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=many"])
async def test_a_parameter_that_cannot_be_is_400(subject: Composed, query: str) -> None:
    """With its name."""
    response = await subject.get(f"/tiergate/v1/requests?{query}")
    assert response.status_code == 400
    assert (error_of(response)["code"], error_of(response)["param"]) == ("invalid_request", "limit")


async def test_balances_are_shown_with_what_is_left(subject: Composed) -> None:
    """In the budget's unit."""
    subject.transport.then(FakeResponse(ANSWER))
    async with subject.client() as client:
        await client.post("/v1/chat/completions", content=request())
    [balance] = (await subject.get("/tiergate/v1/budgets")).json()["data"]
    ends = balance.pop("window_ends_in_seconds")
    assert ends > 0
    assert balance == {
        "budget": "money",
        "owner": "*",
        "unit": "USD",
        "limit": 1_000_000,
        "settled": 13,
        "held": 0,
        "available": 1_000_000 - 13,
    }


async def test_a_store_that_is_away_is_503(subject: Composed) -> None:
    """With the time to come back."""
    subject.ledger.down = {"balances"}
    response = await subject.get("/tiergate/v1/budgets")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert error_of(response)["code"] == "store_unavailable"


async def test_a_defect_in_a_handler_is_500_in_openais_form(subject: Composed) -> None:
    """Without its cause."""
    subject.redis.trouble = RuntimeError("secret detail")
    async with subject.client(raises=False) as client:
        response = await client.get("/tiergate/v1/requests")
    assert response.status_code == 500
    assert error_of(response)["code"] == "internal_error"
    assert "secret detail" not in response.text


async def test_probes_and_metrics_need_no_key(subject: Composed) -> None:
    """They say nothing that a stranger may not know."""
    assert (await subject.get("/healthz", key=None)).json() == {"status": "alive"}
    assert (await subject.get("/readyz", key=None)).status_code == 200
    metrics = await subject.get("/metrics", key=None)
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "tiergate_build_info" in metrics.text


async def test_the_page_of_the_documentation_needs_no_other_server(subject: Composed) -> None:
    """Every asset that it loads comes from here; no address of a CDN is on it."""
    page = await subject.get("/docs", key=None)
    assert page.status_code == 200
    assert not re.search(r"https?://|//cdn", page.text)
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 3
    for asset in assets:
        response = await subject.get(f"/{asset}", key=None)
        assert (response.status_code, bool(response.content)) == (200, True)
        assert response.headers["content-type"].partition(";")[0] in {"text/javascript", "text/css", "image/png"}
    missing = await subject.get("/docs/other.js", key=None)
    assert (missing.status_code, error_of(missing)["code"]) == (404, "route_not_served")


async def test_the_openapi_document_lists_what_is_served(subject: Composed) -> None:
    """Metered operations too, with the headers that say who calls; it is made once."""
    document = (await subject.get("/openapi.json", key=None)).json()
    chat = document["paths"]["/v1/chat/completions"]["post"]
    assert {parameter["name"] for parameter in chat["parameters"]} == {
        f"x-tiergate-{noun}" for noun in ("agent", "flow", "run", "step", "task")
    }
    assert {"200", "401", "402", "503"} <= set(chat["responses"])
    assert "429" not in chat["responses"]
    assert {"/v1/embeddings", "/tokenize", "/v1/models", "/tiergate/v1/budgets", "/readyz"} <= set(document["paths"])
    assert "HTTPBearer" in document["components"]["securitySchemes"]
    operations = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(operations) == len(set(operations))
    assert json.dumps(subject.parts.gateway.openapi()) == json.dumps(document)
    assert subject.parts.gateway.openapi() is subject.parts.gateway.openapi()


async def test_a_key_as_anthropics_clients_send_it_opens_the_handlers_too(subject: Composed) -> None:
    """As ``x-api-key``."""
    async with subject.client(None) as client:
        assert (await client.get("/v1/models", headers={"x-api-key": KEY})).status_code == 200


ADMIN_KEY = "sk-admin"


async def test_tiers_are_shown_with_their_endpoints(subject: Composed) -> None:
    """Those that the key may use."""
    response = await subject.get("/tiergate/v1/tiers")
    assert response.json()["object"] == "list"
    assert [tier["name"] for tier in response.json()["data"]] == ["routing", "reasoning"]
    [mine] = (await subject.get("/tiergate/v1/tiers", key=ROUTING_KEY)).json()["data"]
    assert (mine["name"], mine["slots"], mine["slots_held"]) == ("routing", 2, 0)
    assert mine["endpoints"][0] == {
        "name": "routing/0",
        "transport": "openai",
        "breaker": "closed",
        "in_flight": 0,
        "state": None,
        "since_unix": None,
        "held": None,
        "workers_max": None,
        "slots_per_worker": None,
        "wake_expected_seconds": None,
        "sample": None,
    }


async def test_waking_says_whether_the_tier_is_awake(subject: Composed) -> None:
    """200 where it is; what is no tier of the key's is not woken."""
    async with subject.client(ROUTING_KEY) as client:
        awake = await client.post("/tiergate/v1/tiers/routing/wake")
        forbidden = await client.post("/tiergate/v1/tiers/reasoning/wake")
        missing = await client.post("/tiergate/v1/tiers/other/wake")
    assert (awake.status_code, awake.json()["awake"], awake.json()["sent"]) == (200, True, False)
    assert (forbidden.status_code, error_of(forbidden)["code"]) == (403, "tier_not_allowed")
    assert (missing.status_code, error_of(missing)["code"]) == (404, "model_not_found")
    async with subject.client(None) as client:
        assert (await client.post("/tiergate/v1/tiers/routing/wake")).status_code == 401


async def test_a_worker_on_its_way_is_202(subject: Composed) -> None:
    """With what is expected of it; the example in the OpenAPI document has the same form."""
    parts = subject.parts
    woken = Woken(tier="routing", awake=False, sent=True, expected_seconds=60.0, endpoints=[])

    async def wake(caller: Caller, tier: str) -> Woken:
        assert (caller.name, tier) == ("routing-only", "routing")
        return woken

    gateway = Gateway(serving=parts.serving, desk=replace(parts.desk, wake=wake), version="1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=gateway), base_url=BASE) as client:
        headers = {"authorization": f"Bearer {ROUTING_KEY}"}
        response = await client.post("/tiergate/v1/tiers/routing/wake", headers=headers)
        document = (await client.get("/openapi.json")).json()
    assert (response.status_code, response.json()) == (202, asdict(woken))
    described = document["paths"]["/tiergate/v1/tiers/{tier}/wake"]["post"]["responses"]
    for status in ("200", "202"):
        example = described[status]["content"]["application/json"]["example"]
        assert set(example) == set(response.json())
        assert set(example["endpoints"][0]) == {field.name for field in fields(EndpointShown)}


RELOAD = "/tiergate/v1/tier-map/reload"


async def reloaded(subject: Composed, authorization: str | None) -> httpx.Response:
    """Ask for the tier map to be read again."""
    async with subject.client(None) as client:
        headers = {} if authorization is None else {"authorization": authorization}
        return await client.post(RELOAD, headers=headers)


async def test_without_an_admin_key_nobody_may_reload(subject: Composed) -> None:
    """The route is not there, whoever asks."""
    for authorization in (None, "Bearer ", f"Bearer {KEY}"):
        response = await reloaded(subject, authorization)
        assert (response.status_code, error_of(response)["code"]) == (404, "route_not_served")


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", f"Bearer {KEY}", "Bearer sk-admi", f"Basic {ADMIN_KEY}", ADMIN_KEY]
)
async def test_a_reload_takes_the_admin_key(authorization: str | None) -> None:
    """A caller's key is none, nor is the digest that is kept."""
    subject = composed(admin=digest(ADMIN_KEY.encode()))
    for tried in (authorization, f"Bearer {digest(ADMIN_KEY.encode())}"):
        response = await reloaded(subject, tried)
        assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")
    assert subject.parts.succession.rejected is None


async def test_a_reload_says_what_came_of_it(tmp_path: Path) -> None:
    """With the generation in service, and every problem of a map that is refused. The admin key opens nothing else."""
    file = tmp_path / "tiers.yaml"
    subject = composed(admin=digest(ADMIN_KEY.encode()), tiers_file=file)
    file.write_text("bad: 1\nworse: 2\n")
    response = await reloaded(subject, f"bearer {ADMIN_KEY}")
    assert response.status_code == 422
    told = response.json()
    assert (told["result"], told["generation"]) == ("rejected", 1)
    assert any("worse" in problem for problem in told["problems"])
    file.write_text(GOOD)
    response = await reloaded(subject, f"Bearer {ADMIN_KEY}")
    assert (response.status_code, response.json()) == (
        200,
        {"result": "loaded", "generation": 2, "hash": text_hash(GOOD.encode()), "problems": []},
    )
    assert (await subject.get("/v1/models", key=ADMIN_KEY)).status_code == 401
    assert (await subject.get("/v1/models")).status_code == 401, "the new map does not know that key"
    await subject.parts.succession.aclose()


async def test_one_of_several_processes_asks_its_parent(tmp_path: Path) -> None:
    """And passes on what it says."""
    place = replace(place_of(SharedSeries(tmp_path, "0-1", process=0)), admin_digest="")
    subject = composed(place, admin=digest(ADMIN_KEY.encode()))
    response = await reloaded(subject, f"Bearer {ADMIN_KEY}")
    assert response.json() == {"result": "unchanged", "generation": 7, "hash": "abc", "problems": []}
    shown = (await subject.get("/readyz")).json()["tier_map"]
    assert shown == {
        "generation": 7,
        "hash": "abc",
        "loaded_unix": 1.0,
        "rejected": {"hash": "def", "since_unix": 2.0},
    }
    assert "it is bad" not in str(shown)


GOOD = """\
version: 1
store: embedded
tiers:
  other:
    model: m
    price: {input: 1, output: 1}
    endpoints: [{url: "http://127.0.0.1:1/v1"}]
    context: 1000
    slots: 1
keys:
  - {name: other, hash: "sha256:HASH"}
""".replace("HASH", "ab" * 32)
