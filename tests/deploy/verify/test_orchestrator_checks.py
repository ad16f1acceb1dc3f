"""The orchestrator's checks."""

from typing import Any

import httpx
import pytest

from deploy.verify.course import Course
from deploy.verify.finding import Finding
from deploy.verify.orchestrator_checks import OrchestratorChecks
from deploy.verify.waiting import Patience
from tests.deploy.fleet.planes import Script
from tests.deploy.verify.clockworks import Clockworks

UP = (200, {"flows": ["Triage"]})


async def checked(
    *answers: Any,  # noqa: ANN401 - JSON
    flow: str = "Triage",
    after: bool = True,
) -> tuple[list[Finding], Script, Clockworks]:
    found: list[Finding] = []
    script, works = Script(answers), Clockworks()
    async with httpx.AsyncClient(transport=script) as client:
        patience = Patience(worker=60, look=20)
        checks = OrchestratorChecks(client, "http://flows.test", patience, works.clockwork)
        await checks.run(Course(found.append, lambda: 0.0), flow=flow, inputs={"topic": "tides"}, after=after)
    return found, script, works


def run(status: str, **more: object) -> tuple[int, dict[str, Any]]:
    return 200, {"run": "r1", "status": status, "steps": 2, **more}


async def test_one_flow_runs_to_its_end() -> None:
    found, script, works = await checked(UP, run("queued"), run("running"), run("succeeded", output="done"))
    assert [each.verdict for each in found] == ["passed", "passed"]
    assert found[1].evidence == ("r1: succeeded, 2 steps", "done")
    assert script.asked[1] == ("POST", "http://flows.test/flows/Triage/runs", {"inputs": {"topic": "tides"}})
    assert works.said == ["Flow Triage: queued, 2 steps are done", "Flow Triage: running, 2 steps are done"]


async def test_a_start_is_waited_for() -> None:
    found, _, works = await checked((204, None), (400, "no workers available"), UP, flow="")
    assert [each.verdict for each in found] == ["passed", "skipped"]
    assert works.now == 140


@pytest.mark.parametrize(
    ("answer", "words"),
    [((401, "no"), "see --runpod-key and --app-token"), ((500, "no"), "which Flow cannot be loaded")],
)
async def test_one_that_is_not_up_says_why(answer: Any, words: str) -> None:  # noqa: ANN401 - JSON
    found, _, _ = await checked(answer)
    assert [each.verdict for each in found] == ["failed", "skipped"]
    assert words in found[0].remedy


async def test_one_that_never_gets_up_is_given_up() -> None:
    found, _, _ = await checked(*[(502, "")] * 4)
    assert (found[0].verdict, found[0].cause) == ("failed", "not_up")
    assert "PORT_HEALTH" in found[0].remedy


async def test_a_run_that_fails_tells_its_error() -> None:
    found, _, _ = await checked(UP, run("failed", error={"step": "classify", "message": "no budget"}))
    assert (found[1].verdict, found[1].cause) == ("failed", "flow_failed")
    assert "classify" in found[1].evidence[1]


async def test_a_run_that_is_refused_tells_the_remedy_of_the_refusal() -> None:
    refusal = {"error": {"code": "inputs_refused", "message": "no", "remedy": "mend the inputs"}}
    found, _, _ = await checked(UP, (422, refusal))
    assert (found[1].cause, found[1].remedy) == ("inputs_refused", "mend the inputs")


async def test_no_flow_runs_where_inference_does_not() -> None:
    found, script, _ = await checked(UP, after=False)
    assert found[1].verdict == "skipped"
    assert len(script.asked) == 1
