"""Usage and budgets, as clients see them."""

import csv
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest

from gateway.api import Gateway
from gateway.authenticate import digest
from gateway.budget.ledger import Claim, Concerned, Reserved
from gateway.record import RequestRecord
from gateway.usage_api import UsageDesk, add_usage
from tests.doubles.clock import ManualClock
from tests.gateway.composed import BASE, KEY, ROUTING_KEY, Composed, composed
from tests.gateway.samples import budget, record
from tiers.holds import Concern

ADMIN = "the-admin-key-of-this-test"
USAGE = "/tiergate/v1/usage"


class KeptRecords:
    """What the store keeps, the newest first, in pages of two."""

    def __init__(self, *kept: RequestRecord) -> None:
        self.kept = [msgspec.json.encode(one) for one in kept]
        self.flushed = 0

    async def flush(self) -> None:
        """Count it."""
        self.flushed += 1

    async def pages(self) -> AsyncIterator[list[bytes]]:
        """The records as JSON."""
        for begin in range(0, len(self.kept), 2):
            yield self.kept[begin : begin + 2]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An application, and what stands behind it."""

    whole: Composed
    app: Gateway
    records: KeptRecords

    async def get(self, path: str, *, key: str = KEY, **headers: str) -> httpx.Response:
        """GET."""
        transport = httpx.ASGITransport(self.app)
        headers["authorization"] = f"Bearer {key}"
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
            return await client.get(path)


def made(*records: RequestRecord, admin: str = ADMIN) -> Subject:
    """A gateway whose store keeps these records."""
    whole, kept = composed(), KeptRecords(*records)
    app = Gateway(serving=whole.parts.serving, desk=whole.parts.desk, version="1")
    desk = UsageDesk(
        authenticate=whole.parts.desk.authenticate,
        admin_digest=admin and digest(admin.encode()),
        flush=kept.flush,
        pages=kept.pages,
        ledger=whole.ledger,
        budgets=lambda: [budget()],
        clock=ManualClock(),
    )
    add_usage(app, desk)
    return Subject(whole=whole, app=app, records=kept)


@pytest.fixture
def subject() -> Subject:
    """Three requests of two keys, of which the newest was refused."""
    refused = record(
        request_id="req_3", outcome="budget_exhausted", refused_by="money", charges=(), cost_microdollars=0, agent="x"
    )
    return made(refused, record(request_id="req_2", key="routing-only"), record(request_id="req_1", agent="=writer"))


def rows(response: httpx.Response) -> list[dict[str, Any]]:
    """The groups in an answer."""
    assert response.status_code == 200, response.text
    data: list[dict[str, Any]] = response.json()["data"]
    return data


async def test_a_key_sees_its_own_requests_and_the_admin_all(subject: Subject) -> None:
    [own, refused] = rows(await subject.get(f"{USAGE}?by=key,agent"))
    assert (own["key"], own["agent"], own["requests"]) == ("demo", "=writer", 1)
    assert (own["cost_microdollars"], own["cost_usd"], own["gpu_seconds"]) == (120, "0.000120", "0.750000")
    assert (refused["agent"], refused["refused"], refused["cost_microdollars"]) == ("x", 1, 0)
    assert subject.records.flushed == 1
    assert {row["key"] for row in rows(await subject.get(f"{USAGE}?by=key", key=ADMIN))} == {"demo", "routing-only"}
    [filtered] = rows(await subject.get(f"{USAGE}?by=key&key=routing-only", key=ADMIN))
    assert filtered["key"] == "routing-only"


async def test_nobody_sees_anothers(subject: Subject) -> None:
    response = await subject.get(f"{USAGE}?key=routing-only")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "key")
    for path in (USAGE, "/tiergate/v1/budgets/money"):
        assert (await subject.get(path, key="wrong")).status_code == 401


async def test_without_an_admin_key_nobody_is_the_admin() -> None:
    for key in ("", ADMIN):
        assert (await made(record(), admin="").get(USAGE, key=key)).status_code == 401


async def test_other_forms(subject: Subject) -> None:
    """By ``format`` or ``accept``; a spreadsheet takes no name for a formula."""
    response = await subject.get(f"{USAGE}?by=agent&agent=%3Dwriter", accept="text/csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    [row] = csv.DictReader(response.text.splitlines())
    assert (row["agent"], row["cost_microdollars"]) == ("'=writer", "120")
    lines = (await subject.get(f"{USAGE}?by=agent&agent=%3Dwriter&format=jsonl")).text.splitlines()
    assert [json.loads(line)["agent"] for line in lines] == ["=writer"]
    assert (await subject.get(f"{USAGE}?by=agent&format=table")).text.startswith("agent ")


@pytest.mark.parametrize(
    ("query", "param"), [("by=prompt", "by"), ("since=soon", "since"), ("since=1h&until=2h", "since"), ("x=1", "x")]
)
async def test_what_makes_no_sense_is_said(subject: Subject, query: str, param: str) -> None:
    response = await subject.get(f"{USAGE}?{query}")
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_a_budget_is_explained(subject: Subject) -> None:
    """What was settled, what is held, by which claim and until when; a key sees refusals of its own requests."""
    money = budget()
    concern = Concern(budget=money.name, owner="*", unit=money.unit, limit=money.limit, window=money.window)
    concerned = Concerned((concern,))
    for name in ("req_4-1", "req_5-1"):
        claim = Claim(id=name, slot=None, concerned=concerned, amounts=[100], life_seconds=60)
        assert isinstance(await subject.whole.ledger.reserve(claim), Reserved)
    await subject.whole.ledger.settle(claim, [26])
    answer = (await subject.get("/tiergate/v1/budgets/money")).json()
    [told] = answer["data"]
    assert (told["limit"], told["limit_exact"], told["unit"]) == (1_000_000, "1.000000", "USD")
    [owner] = told["owners"]
    assert (owner["settled"], owner["settled_exact"], owner["held"]) == (26, "0.000026", 100)
    [holding] = told["holdings"]
    assert (holding["claim"], holding["owner"], holding["amount"]) == ("req_4-1", "*", 100)
    assert told["window"]["begins_unix"] < holding["until_unix"] < told["window"]["ends_unix"]
    assert [one["request_id"] for one in answer["refusals"]] == ["req_3"]
    other = (await subject.get("/tiergate/v1/budgets/money?owner=x", key=ROUTING_KEY)).json()
    assert (other["data"][0]["owners"], other["data"][0]["holdings"], other["refusals"]) == ([], [], [])


async def test_the_gateway_serves_both() -> None:
    """As it is composed."""
    whole = composed()
    assert (await whole.get(USAGE)).json()["data"] == []
    assert (await whole.get("/tiergate/v1/budgets/money")).json()["data"][0]["budget"] == "money"
    assert {USAGE, "/tiergate/v1/budgets/{name}"} <= set(whole.parts.gateway.openapi()["paths"])


async def test_an_unknown_budget_is_answered_with_near_names(subject: Subject) -> None:
    response = await subject.get("/tiergate/v1/budgets/mony")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (404, "budget_not_found")
    assert "Near it: money." in error["message"]
    assert "lists them" in (await subject.get("/tiergate/v1/budgets/xyz")).json()["error"]["message"]
