"""The paths of the app, each as its caller sees it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from orchestrator.app import HostOptions
from orchestrator.host.edge import BODY_BYTES_MAX
from orchestrator.settings import Secret
from tests.orchestrator.host.hosted import Hosted, told


@pytest.fixture
def hosted(tmp_path: Path) -> Hosted:
    return Hosted(tmp_path)


@pytest.fixture
async def client(hosted: Hosted) -> AsyncIterator[httpx.AsyncClient]:
    async with hosted.client() as client:
        yield client


async def test_a_run_is_answered_when_it_has_ended(client: httpx.AsyncClient) -> None:
    answer = await client.post("/flows/Double", json={"inputs": {"customer": "Ada"}, "run": "run-1"})
    document = answer.json()
    assert (answer.status_code, document["status"], document["output"]) == (200, "succeeded", {"customer": "Ada"})
    assert (document["run"], document["state"], document["error"]) == ("run-1", {"id": "run-1"}, None)
    assert (await client.post("/flows/Double")).json()["run"] not in {"", "run-1"}


async def test_a_run_that_failed_is_500_with_its_document(client: httpx.AsyncClient) -> None:
    answer = await client.post("/flows/Double", json={"inputs": {"fail": True}})
    assert (answer.status_code, answer.json()["status"]) == (500, "failed")
    assert answer.json()["error"] == {"type": "RuntimeError", "message": "cold oven", "step": "work"}


async def test_a_run_that_takes_longer_than_its_caller_may_wait_is_202_with_its_address(
    client: httpx.AsyncClient, hosted: Hosted
) -> None:
    answer = await client.post("/flows/Double?wait_seconds=0.05", json={"inputs": {"wait": True}, "run": "run-1"})
    assert (answer.status_code, answer.headers["location"]) == (202, "/runs/run-1")
    assert answer.json()["status"] == "running"
    hosted.go.set()
    later = await client.get(f"{answer.headers['location']}?wait_seconds=10")
    assert later.json()["status"] == "succeeded"


async def test_a_run_in_the_background_is_202_at_once(client: httpx.AsyncClient, hosted: Hosted) -> None:
    answer = await client.post("/flows/Double/runs", json={"inputs": {"wait": True}, "run": "run-1"})
    assert (answer.status_code, answer.headers["location"]) == (202, "/runs/run-1")
    assert "x-tiergate-affinity" not in answer.headers
    hosted.go.set()
    await told(client, "run-1", "succeeded")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b'{"inputs": 1}', "inputs"),
        (b'{"run": "a b"}', "run"),
        (b'{"input": {}}', "input"),
        (b'{"max_usd": 0}', "max_usd"),
    ],
)
async def test_what_is_no_run_is_422_and_names_the_field(client: httpx.AsyncClient, body: bytes, field: str) -> None:
    for path in ("/flows/Double", "/flows/Double/runs"):
        answer = await client.post(path, content=body, headers={"content-type": "application/json"})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (422, "body_invalid")
        assert [problem["field"] for problem in error["problems"]] == [field]


async def test_inputs_that_the_state_does_not_take_are_422_and_nothing_is_run(client: httpx.AsyncClient) -> None:
    answer = await client.post("/flows/Double", json={"inputs": {"colour": "red"}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "inputs_refused")
    assert error["problems"] == [{"field": "colour", "reason": "the state has no such field"}]
    assert error["remedy"]
    assert (await client.get("/runs")).json()["runs"] == []


async def test_the_bounds_of_a_run_are_kept(client: httpx.AsyncClient, hosted: Hosted) -> None:
    body = {"run": "run-1", "max_usd": 0.5, "max_calls": 40, "deadline_seconds": 900}
    await client.post("/flows/Double", json=body)
    assert hosted.store is not None
    run = await hosted.store.run("run-1")
    assert run is not None
    assert (run.bounds.usd_max, run.bounds.calls_max) == (0.5, 40)
    assert run.bounds.deadline_unix == hosted.unix() + 900


async def test_what_is_not_there_is_404_as_a_document(client: httpx.AsyncClient) -> None:
    for method, path, code in (
        ("POST", "/flows/Other", "flow_unknown"),
        ("POST", "/flows/Other/runs", "flow_unknown"),
        ("GET", "/runs/none", "run_unknown"),
        ("GET", "/runs/none/events", "run_unknown"),
        ("POST", "/runs/none/cancel", "run_unknown"),
        ("POST", "/runs/none/resume", "run_unknown"),
        ("GET", "/nothing", "path_unknown"),
    ):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)
    wrong = await client.get("/flows/Double")
    assert (wrong.status_code, wrong.json()["error"]["code"], wrong.headers["allow"]) == (405, "method_refused", "POST")


async def test_a_body_over_the_bound_is_413(client: httpx.AsyncClient) -> None:
    """Also where it does not say beforehand how long it is."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 1_000_000 + 1):
            yield b" " * 1_000_000

    for body in (b" " * (BODY_BYTES_MAX + 1), pieces()):
        answer = await client.post("/flows/Double", content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


async def test_the_same_idempotency_key_gives_the_run_that_it_made(client: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "order-1"}
    first = await client.post("/flows/Double", json={"inputs": {"n": 1}}, headers=key)
    again = await client.post("/flows/Double/runs", json={"inputs": {"n": 1}}, headers=key)
    assert again.json()["run"] == first.json()["run"]
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    other = await client.post("/flows/Double", json={"inputs": {"n": 2}}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "run_conflict")
    assert len((await client.get("/runs")).json()["runs"]) == 1


async def test_a_name_that_is_taken_is_409(client: httpx.AsyncClient) -> None:
    await client.post("/flows/Double", json={"run": "run-1"})
    answer = await client.post("/flows/Double", json={"run": "run-1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "run_conflict")


async def test_runs_are_listed_newest_first_with_filters_and_pages(client: httpx.AsyncClient) -> None:
    for name in ("a", "b"):
        await client.post("/flows/Double", json={"run": name})
    await client.post("/flows/Double", json={"run": "c", "inputs": {"fail": True}})
    assert {run["run"] for run in (await client.get("/runs")).json()["runs"]} == {"a", "b", "c"}
    failed = (await client.get("/runs?state=failed&flow=Double")).json()
    assert ([run["run"] for run in failed["runs"]], failed["before"]) == (["c"], None)
    assert (await client.get("/runs?flow=Other")).json()["runs"] == []
    page = (await client.get("/runs?limit=1")).json()
    assert (len(page["runs"]), page["before"]) == (1, page["runs"][0]["created"])
    assert (await client.get("/runs?state=lost")).json()["error"]["problems"][0]["field"] == "state"


async def test_a_run_can_be_cancelled_once(client: httpx.AsyncClient) -> None:
    await client.post("/flows/Double/runs", json={"inputs": {"wait": True}, "run": "run-1"})
    await told(client, "run-1", "running")
    assert (await client.post("/runs/run-1/cancel")).status_code == 202
    await told(client, "run-1", "cancelled")
    again = await client.post("/runs/run-1/cancel")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "run_ended")


async def test_a_failed_run_can_be_resumed_and_then_not_again(client: httpx.AsyncClient) -> None:
    await client.post("/flows/Double", json={"inputs": {"fail": True}, "run": "run-1"})
    assert (await client.post("/runs/run-1/resume")).status_code == 202
    assert (await told(client, "run-1", "succeeded"))["attempts"] == 2
    again = await client.post("/runs/run-1/resume")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "run_not_resumable")


async def test_a_run_whose_flow_changed_is_resumed_only_when_that_is_accepted(
    client: httpx.AsyncClient, hosted: Hosted
) -> None:
    await client.post("/flows/Double", json={"inputs": {"fail": True}, "run": "run-1"})
    hosted.flow.code = "code-2"
    refused = await client.post("/runs/run-1/resume")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "code_changed")
    assert (await client.post("/runs/run-1/resume", json={"accept_changed_code": True})).status_code == 202
    await told(client, "run-1", "succeeded")
    assert hosted.store is not None
    run = await hosted.store.run("run-1")
    assert run is not None
    assert run.code == "code-2"


async def test_a_run_that_waits_for_a_person_goes_on_with_what_that_person_says(client: httpx.AsyncClient) -> None:
    answer = await client.post("/flows/Double", json={"inputs": {"ask": True}, "run": "run-1"})
    assert (answer.status_code, answer.json()["status"]) == (202, "waiting")
    assert answer.json()["question"] == {"step": "review#1", "message": "Good?", "output": "a draft", "outcomes": []}
    assert (await client.post("/runs/run-1/feedback", json={})).status_code == 422
    assert (await client.post("/runs/run-1/feedback", json={"feedback": "Yes."})).status_code == 202
    assert (await told(client, "run-1", "succeeded"))["output"] == "Yes."
    again = await client.post("/runs/run-1/feedback", json={"feedback": "No."})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "run_not_waiting")


def events_of(text: str) -> list[tuple[int, str, dict[str, object]]]:
    """The events of a stream: number, type and data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.splitlines() if not line.startswith(":"))
        if "id" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


async def test_events_come_in_order_to_the_runs_end_and_go_on_after_the_last_one_seen(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/flows/Double", json={"run": "run-1"})
    stream = await client.get("/runs/run-1/events")
    assert stream.headers["content-type"].startswith("text/event-stream")
    events = events_of(stream.text)
    assert [number for number, *_ in events] == [1, 2, 3, 4]
    assert [kind for _, kind, _ in events] == ["run.queued", "run.running", "step.started", "run.succeeded"]
    assert events[2][2]["step"] == "work"
    rest = await client.get("/runs/run-1/events", headers={"last-event-id": "2"})
    assert [kind for _, kind, _ in events_of(rest.text)] == ["step.started", "run.succeeded"]
    assert (await client.get("/runs/run-1/events", headers={"last-event-id": "x"})).status_code == 422


async def test_events_of_a_run_under_way_are_followed_to_its_end(client: httpx.AsyncClient, hosted: Hosted) -> None:
    await client.post("/flows/Double/runs", json={"inputs": {"wait": True}, "run": "run-1"})
    await told(client, "run-1", "running")
    following = asyncio.get_running_loop().create_task(client.get("/runs/run-1/events"))
    await asyncio.sleep(0.02)
    assert not following.done()
    hosted.go.set()
    assert events_of((await following).text)[-1][1] == "run.succeeded"


async def test_the_flows_are_listed_with_what_they_take(client: httpx.AsyncClient) -> None:
    assert (await client.get("/flows")).json() == {
        "flows": [{"flow": "Double", "code": "code-1", "inputs": {"type": "object"}}]
    }


async def test_the_app_describes_itself_with_examples(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/ping",
        "/metrics",
        "/flows",
        "/flows/{flow}",
        "/flows/{flow}/runs",
        "/runs",
        "/runs/{run}",
        "/runs/{run}/events",
        "/runs/{run}/cancel",
        "/runs/{run}/resume",
        "/runs/{run}/feedback",
    }
    schemas = document["components"]["schemas"]
    for name in ("RunBody", "RunDocument", "ResumeBody", "FeedbackBody", "RefusalDocument"):
        assert schemas[name]["examples"]


async def test_a_token_is_asked_for_everywhere_but_at_the_health_check(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path / "other", options=HostOptions(token=Secret("sk-app")))
    async with hosted.client() as client:
        for headers in ({}, {"x-tiergate-token": "sk-other"}, {"authorization": "Bearer sk-app"}):
            answer = await client.post("/flows/Double", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token_refused")
        assert (await client.post("/flows/Double", headers={"x-tiergate-token": "sk-app"})).status_code == 200
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/ping")).status_code == 200
