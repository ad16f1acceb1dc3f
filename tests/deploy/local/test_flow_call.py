"""One run through a load balancer that may be cold."""

import json

import httpx
import pytest

from deploy.local.flow_call import FlowEnd, call_flow

URL = "http://e/lb/x/flows/Triage"
OK = {"run": "r-1", "flow": "Triage", "status": "ok", "output": "fine", "seconds": 1.5}


async def _call(
    *answers: httpx.Response | Exception, seconds_max: float = 10
) -> tuple[FlowEnd, list[httpx.Request], list[str]]:
    requests: list[httpx.Request] = []
    said: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = answers[min(len(requests), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content)

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        end = await call_flow(
            client, URL, run="r-1", seconds_max=seconds_max, say=said.append, retry_seconds=0.1 * (seconds_max < 1)
        )
    return end, requests, said


async def test_a_run_that_ends_well_is_its_result() -> None:
    end, (request,), said = await _call(httpx.Response(200, json=OK))
    assert end.result is not None
    assert (end.failure, end.result.output, end.result.seconds, said) == ("", "fine", 1.5, [])
    assert json.loads(request.content) == {"run": "r-1"}
    assert (str(request.url), request.headers["authorization"]) == (URL, "Bearer rpa_emulator")


@pytest.mark.parametrize(
    "cold",
    [
        httpx.Response(400, json={"status": 400, "title": "Bad Request", "detail": "timed out waiting for worker"}),
        httpx.Response(400, json={"error": "no workers available"}),
        httpx.Response(503, json={"error": {"message": "still warming up"}}),
    ],
)
async def test_where_no_worker_took_it_it_is_asked_again(cold: httpx.Response) -> None:
    end, requests, said = await _call(cold, cold, httpx.Response(200, json=OK))
    assert (end.failure, len(requests)) == ("", 3)
    assert said == [f"flow: no worker took it yet ({cold.status_code}); asking again"] * 2


async def test_a_flow_that_failed_says_why() -> None:
    failed = OK | {"status": "failed", "output": None, "error": "the budget is spent"}
    end, _, _ = await _call(httpx.Response(500, json=failed))
    assert end.failure == "the Flow failed: the budget is spent"
    assert end.result is not None


async def test_a_flow_that_failed_says_why_in_the_words_of_its_problem() -> None:
    failed = OK | {
        "status": "failed",
        "output": None,
        "error": {"type": "X", "message": "the oven is cold", "step": "a"},
    }
    end, _, _ = await _call(httpx.Response(500, json=failed))
    assert end.failure == "the Flow failed: the oven is cold"


async def test_a_run_that_takes_longer_than_a_request_may_is_asked_for_until_it_has_ended() -> None:
    under_way = OK | {"status": "running", "output": None, "seconds": None}
    end, requests, _ = await _call(
        httpx.Response(202, json=under_way), httpx.Response(200, json=under_way), httpx.Response(200, json=OK)
    )
    assert end.result is not None
    assert (end.failure, end.result.output) == ("", "fine")
    assert [str(request.url) for request in requests[1:]] == ["http://e/lb/x/runs/r-1?wait_seconds=300"] * 2


async def test_a_run_that_failed_while_it_was_asked_for_is_a_failure() -> None:
    failed = OK | {"status": "failed", "output": None, "error": {"message": "the oven is cold"}}
    end, _, _ = await _call(httpx.Response(202, json=OK), httpx.Response(200, json=failed))
    assert end.failure == "the Flow failed: the oven is cold"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (httpx.Response(400, json={"error": "not allowed for QB API"}), "answered 400 without a result: {"),
        (httpx.Response(502, text="bad gateway"), "answered 502 without a result: bad gateway"),
        (httpx.Response(200, json={}), "answered 200 without a result"),
        (httpx.ConnectError("refused"), "POST http://e/lb/x/flows/Triage failed: ConnectError"),
    ],
)
async def test_what_is_no_result_is_told(answer: httpx.Response | Exception, failure: str) -> None:
    end, requests, _ = await _call(answer)
    assert failure in end.failure
    assert (end.result, len(requests)) == (None, 1)


async def test_a_run_has_its_time() -> None:
    end, _, said = await _call(httpx.Response(503), seconds_max=0.05)
    assert end.failure == "the Flow took longer than 0.05 s"
    assert len(said) == 1
