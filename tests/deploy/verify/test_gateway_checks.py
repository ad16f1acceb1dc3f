"""The gateway's checks."""

from typing import Any

import httpx
import pytest

from deploy.verify.course import Course
from deploy.verify.finding import Finding
from deploy.verify.gateway_checks import GatewayChecks
from tests.deploy.fleet.planes import Script

READY = (200, {"ready": True})
GOOD = (200, {"choices": [{"message": {"content": "Paris"}}]})


async def checked(*answers: Any, answering: str = "a b") -> tuple[bool, list[Finding], Script]:  # noqa: ANN401 - JSON
    found: list[Finding] = []
    script = Script(answers)
    async with httpx.AsyncClient(transport=script) as client:
        checks = GatewayChecks(client, "http://gateway.test/v1/")
        good = await checks.run(Course(found.append, lambda: 0.0), ["a", "b"], answering=frozenset(answering.split()))
    return good, found, script


async def test_every_tier_answers_through_it() -> None:
    good, found, script = await checked(READY, GOOD, GOOD)
    assert good
    assert [each.verdict for each in found] == ["passed"] * 3
    assert [asked[2]["model"] for asked in script.asked[1:]] == ["a", "b"]
    assert script.asked[0][1] == "http://gateway.test/readyz"


async def test_a_tier_that_does_not_answer_by_itself_is_not_asked() -> None:
    good, found, _ = await checked(READY, GOOD, answering="a")
    assert good
    assert [each.verdict for each in found] == ["passed", "passed", "skipped"]


async def test_one_that_is_not_ready_is_not_asked_further() -> None:
    good, found, _ = await checked((503, {"checks": {"store": "does not answer"}}))
    assert not good
    assert [each.verdict for each in found] == ["failed", "skipped", "skipped"]
    assert "does not answer" in found[0].evidence[0]


@pytest.mark.parametrize("code", ["budget_exhausted", "tier_cold", "something_new"])
async def test_a_refusal_is_named_by_its_code(code: str) -> None:
    good, found, _ = await checked(READY, GOOD, (503, {"error": {"code": code, "message": "no"}}))
    assert not good
    assert (found[-1].cause, found[-1].subject) == (code, "b")
    assert found[-1].remedy
