"""What becomes of one call: waits, repetitions, and what a refusal means."""

import httpx
import pytest

from deploy.fleet.calls import PATIENCE_SECONDS, TRIES_MAX
from deploy.fleet.errors import (
    ControlPlaneBusy,
    ControlPlaneConflict,
    ControlPlaneError,
    ControlPlaneLost,
    ControlPlaneMissing,
    ControlPlaneNoCapacity,
    ControlPlaneQuota,
    ControlPlaneRefused,
    ControlPlaneUnauthorized,
    ControlPlaneUnreadable,
)
from tests.deploy.fleet.planes import ORIGIN, Plane, problem

URL = f"{ORIGIN}/v2/serverless"


async def test_429_is_waited_for_as_long_as_it_says_and_costs_no_try() -> None:
    busy = (429, {"detail": "minute"}, {"retry-after": "7"})
    plane = Plane(*[busy] * 6, (200, {"done": True}))
    assert await plane.calls.ask("POST", URL, body={}, makes=True) == {"done": True}
    assert plane.naps.seconds == [7.0] * 6
    assert "for 7 s" in plane.said[0]


async def test_a_wait_beyond_our_patience_is_told() -> None:
    plane = Plane((429, {"detail": "hour"}, {"retry-after": str(PATIENCE_SECONDS + 1)}))
    with pytest.raises(ControlPlaneBusy, match="hour"):
        await plane.calls.ask("GET", URL)
    assert plane.naps.seconds == []


async def test_a_retry_after_that_is_no_number_is_a_second() -> None:
    plane = Plane((429, {}, {"retry-after": "soon"}), (200, {}))
    await plane.calls.ask("GET", URL)
    assert plane.naps.seconds == [1.0]


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("late"), (503, "down"), httpx.RemoteProtocolError("cut")])
async def test_what_may_be_repeated_is(failure: Exception | tuple[int, str]) -> None:
    plane = Plane(failure, failure, (200, {"ok": 1}))
    assert await plane.calls.ask("PATCH", URL, body={"name": "a"}) == {"ok": 1}
    assert plane.naps.seconds == [0.5, 1.0]


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("late"), (500, "oops")])
async def test_what_makes_something_is_never_repeated_after_it_may_have_been_made(
    failure: Exception | tuple[int, str],
) -> None:
    plane = Plane(failure)
    with pytest.raises(ControlPlaneLost) as caught:
        await plane.calls.ask("POST", URL, body={}, makes=True)
    assert len(plane.script.asked) == 1
    assert "looked up before it is made again" in caught.value.remedy


async def test_what_was_never_sent_is_repeated_whatever_it_is() -> None:
    plane = Plane(httpx.ConnectError("refused"), (201, {"id": "e1"}))
    assert await plane.calls.ask("POST", URL, body={}, makes=True) == {"id": "e1"}


@pytest.mark.parametrize("failure", [httpx.ConnectError("no"), httpx.ReadTimeout("no"), (502, "no")])
async def test_tries_have_an_end(failure: Exception | tuple[int, str]) -> None:
    plane = Plane(*[failure] * TRIES_MAX)
    with pytest.raises(ControlPlaneLost):
        await plane.calls.ask("GET", URL)
    assert len(plane.script.asked) == TRIES_MAX


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (400, "There are no longer any instances available with the requested specifications.", ControlPlaneNoCapacity),
        (400, "max workers over all endpoints would be 7, but the account's quota is 5", ControlPlaneQuota),
        (400, "exactly one of gpu or cpu", ControlPlaneRefused),
        (401, "missing bearer token", ControlPlaneUnauthorized),
        (403, "no", ControlPlaneUnauthorized),
        (404, "endpoint not found", ControlPlaneMissing),
        (409, "exists already", ControlPlaneConflict),
        (422, "Request validation failed.", ControlPlaneRefused),
    ],
)
async def test_each_refusal_has_its_kind_and_is_never_repeated(
    status: int, detail: str, kind: type[ControlPlaneError]
) -> None:
    plane = Plane(problem(status, detail, "$.name: missing"))
    with pytest.raises(kind) as caught:
        await plane.calls.ask("POST", URL, body={}, makes=True)
    assert type(caught.value) is kind
    assert (caught.value.http_status, caught.value.errors) == (status, ("$.name: missing",))
    assert detail in caught.value.message
    assert caught.value.remedy
    assert "rpa_secret" not in caught.value.message


async def test_an_answer_that_is_no_json_is_told() -> None:
    with pytest.raises(ControlPlaneUnreadable, match="<html>"):
        await Plane((200, "<html>")).calls.ask("GET", URL)
    with pytest.raises(ControlPlaneRefused, match="teapot"):
        await Plane((418, "teapot")).calls.ask("GET", URL)


async def test_no_body_is_none() -> None:
    assert await Plane((204, None)).calls.ask("DELETE", URL) is None
