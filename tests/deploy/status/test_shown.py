"""A fleet's status for people and for programs."""

import io
import json
from dataclasses import replace

from rich.console import Console

from deploy.status.shown import as_json, as_text
from tests.deploy.status.statuses import GOOD, STATUS


def text() -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(as_text(STATUS))
    return out.getvalue()


def test_people_see_every_endpoint_its_workers_and_what_differs() -> None:
    shown = text()
    for words in (
        "no: update",
        "no: create",
        "1 running, 2 unhealthy of 3",
        "1 of 3 workers",
        "$1.50",
        "routing/0: workers.max is 0, should be 3",
        "routing/0: no request for 6.2 days",
        "an apply was stopped",
        "`tiergate-deploy plan`",
        "all together cost $1.50 in the last 24 hours",
    ):
        assert words in shown


def test_where_nothing_differs_no_plan_is_asked_for() -> None:
    out = io.StringIO()
    Console(file=out, width=160).print(as_text(replace(STATUS, endpoints=(GOOD, replace(GOOD, rollout=None)))))
    assert "tiergate-deploy plan" not in out.getvalue()


def test_programs_get_all_of_it() -> None:
    told = json.loads(as_json(STATUS))
    assert (told["fleet"], told["drifted"], told["day_usd"]) == ("acme", True, 1.5)
    drifted = told["endpoints"][2]
    assert drifted["drift"] == [{"field": "workers.max", "before": "0", "after": "3"}]
    assert (drifted["workers"]["unhealthy"], drifted["rollout"]["workers_total"]) == (2, 3)
    assert told["endpoints"][0]["rollout"] is None
