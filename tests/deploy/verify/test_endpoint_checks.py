"""The checks of one endpoint; with faults, over a real emulator, they are in test_command.py."""

from typing import Any

import httpx

from deploy.verify.course import Course
from deploy.verify.endpoint_checks import EndpointChecks
from deploy.verify.finding import Finding
from deploy.verify.subject import Subject
from deploy.verify.waiting import Patience
from tests.deploy.fleet.planes import ORIGIN, Plane, Script, endpoint
from tests.deploy.verify.clockworks import Clockworks

SUBJECT = Subject(key="a/0", id="e1", type="QUEUE", url=f"{ORIGIN}/v2/e1", model="m")
GOOD = {"model": "m", "choices": [{"message": {"content": '{"capital": "Paris"}'}}]}
STREAM = 'data: {"choices": [1]}\n\ndata: {"choices": [], "usage": {"completion_tokens": 2}}\n\ndata: [DONE]\n\n'
HEALTHY = (200, {"workers": {"idle": 1}})


async def checked(plane: Plane, *answers: Any, after: bool = True) -> tuple[list[Finding], Script]:  # noqa: ANN401 - JSON
    found: list[Finding] = []
    script = Script(answers)
    async with httpx.AsyncClient(transport=script) as client:
        checks = EndpointChecks(SUBJECT, plane.plane, client, Patience(), Clockworks().clockwork)
        assert await checks.run(Course(found.append, lambda: 0.0), after=after) == (found[2].verdict == "passed")
    return found, script


async def test_one_is_asked_from_the_bottom_up() -> None:
    done = (200, {"id": "j", "status": "COMPLETED", "output": [GOOD]})
    found, script = await checked(
        Plane((200, endpoint()), HEALTHY), (200, {"id": "j"}), done, (200, STREAM), (200, GOOD)
    )
    assert [each.verdict for each in found] == ["passed", "passed", "passed", "passed", "skipped", "passed"]
    assert [path for _, path, _ in script.asked] == [
        "/v2/e1/run",
        "/v2/e1/status/j",
        "/v2/e1/openai/v1/chat/completions",
        "/v2/e1/openai/v1/chat/completions",
    ]


async def test_the_first_question_is_a_job_that_any_cold_start_may_keep_waiting() -> None:
    """Over the OpenAI route the edge would cut it after 100 seconds."""
    done = (200, {"id": "j", "status": "COMPLETED", "output": [GOOD]})
    _, script = await checked(Plane((200, endpoint()), HEALTHY), (200, {"id": "j"}), done, (500, ""), (500, ""))
    assert script.asked[0][2]["input"]["openai_route"] == "/v1/chat/completions"
    assert script.asked[0][2]["policy"] == {"ttl": 3_600_000}


async def test_a_stream_that_is_refused_is_a_failure_of_its_own() -> None:
    done = (200, {"id": "j", "status": "COMPLETED", "output": [GOOD]})
    found, _ = await checked(Plane((200, endpoint()), HEALTHY), (200, {"id": "j"}), done, (502, "bad"), (429, ""))
    assert [each.cause for each in found] == ["", "", "", "bad_answer", "", "too_many"]


async def test_nothing_is_asked_where_the_control_plane_is_not_reached() -> None:
    found, script = await checked(Plane(), after=False)
    assert {each.verdict for each in found} == {"skipped"}
    assert script.asked == []
