"""The bill, as the admin sees it."""

import csv
import json
from collections.abc import Mapping

import httpx
import pytest
from fastapi import Request

from gateway.api import Gateway
from gateway.bill_api import BillDesk, add_bill
from gateway.errors import Unauthorized
from gateway.gpu_seconds.reconciliation import Reconciliation
from gateway.gpu_seconds.runpod_bill import Billed, BillUnreadable
from tests.doubles.clock import ManualClock
from tests.gateway.composed import BASE, composed
from tests.gateway.gpu_seconds.test_statement import MAP, URL
from tiers.bill import Books

PATH = "/tiergate/v1/bill"
DAY = "2027-01-15"
"""That of the clock."""


class Sources:
    """The books and the bill of two days; ``broken`` is why there is no bill."""

    def __init__(self) -> None:
        self.broken = ""
        self.asked: list[tuple[float, float]] = []

    async def bill(self, since_unix: float, until_unix: float) -> list[Billed]:
        """A hundred seconds at 310 microdollars, and something of another endpoint."""
        self.asked.append((since_unix, until_unix))
        if self.broken:
            raise BillUnreadable(self.broken)
        return [
            Billed(day=DAY, endpoint_id="abc", microdollars=31_000),
            Billed(day=DAY, endpoint_id="other", microdollars=5),
        ]

    async def books(self, since_unix: float, until_unix: float) -> Mapping[tuple[str, str], Books]:
        """Of the first endpoint alone."""
        assert since_unix < until_unix
        return {(DAY, URL): Books(attributed={"reasoning": 60_000}, starting=25_000, awake=70_000)}


class Subject:
    """An application with the bill; without a key of Runpod's where ``off``."""

    def __init__(self, *, off: bool = False) -> None:
        self.sources, clock = Sources(), ManualClock()
        whole = composed()
        self.app = Gateway(serving=whole.parts.serving, desk=whole.parts.desk, version="1")
        reconciliation = Reconciliation(
            bill=self.sources.bill, books=self.sources.books, tier_map=lambda: MAP, clock=clock
        )
        add_bill(self.app, BillDesk(admin=_admin, reconciliation=None if off else reconciliation, clock=clock))

    async def get(self, query: str = "", *, key: str = "admin") -> httpx.Response:
        """GET."""
        headers = {"authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
            return await client.get(f"{PATH}{query}")


async def _admin(request: Request) -> None:
    if request.headers["authorization"] != "Bearer admin":
        raise Unauthorized("This takes the gateway's admin key.")


async def test_what_was_billed_stands_beside_what_was_seen() -> None:
    subject = Subject()
    answer = (await subject.get("?since=2d&tier=reasoning")).json()
    [row] = answer["data"]
    assert (row["day"], row["tier"], row["endpoint"]) == (DAY, "reasoning", "abc")
    assert (row["attributed_seconds"], row["starting_seconds"], row["idle_seconds"]) == (60, 25, 10)
    assert (row["billed_seconds"], row["unexplained_seconds"], row["drift_percent"]) == (100, 5, 5)
    assert answer["until_unix"] - answer["since_unix"] == 3 * 86_400
    assert subject.sources.asked == [(answer["since_unix"], answer["until_unix"])]


async def test_all_tiers_are_shown_in_the_form_that_is_asked_for() -> None:
    subject = Subject()
    rows = (await subject.get()).json()["data"]
    assert [row["tier"] for row in rows] == ["reasoning", "(none)"]
    lines = (await subject.get("?format=jsonl")).text.splitlines()
    assert [json.loads(line) for line in lines] == rows
    answer = await subject.get("?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert [row["endpoint"] for row in csv.DictReader(answer.text.splitlines())] == ["abc", "other"]
    assert len(subject.sources.asked) == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?since=90d", 400),
        ("?since=soon", 400),
        ("?since=1d&until=2d", 400),
        ("?unknown=1", 400),
        ("?since=2d&until=1d", 200),
    ],
)
async def test_what_makes_no_sense_is_refused(query: str, status: int) -> None:
    assert (await Subject().get(query)).status_code == status


async def test_it_is_no_callers_business() -> None:
    assert (await Subject().get(key="somebody")).status_code == 401


async def test_without_runpods_key_there_is_none() -> None:
    assert (await Subject(off=True).get()).status_code == 404


async def test_a_bill_that_cannot_be_read_is_said_to_be() -> None:
    subject = Subject()
    subject.sources.broken = "Runpod's bill cannot be read: it answered with status 500"
    answer = await subject.get()
    assert answer.status_code == 502
    assert "status 500" in answer.json()["error"]["message"]
