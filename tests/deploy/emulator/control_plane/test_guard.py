import httpx
import pytest

from deploy.emulator.control_plane.quota import WINDOWS
from tests.deploy.emulator.control_plane.rig import OTHER_KEY, QUEUE, Rig


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, "missing bearer token"),
        ("", "missing bearer token"),
        ("Bearer", "missing bearer token"),
        ("Basic cnBh", "missing bearer token"),
        ("Bearer wrong", "invalid bearer token"),
    ],
)
async def test_a_call_needs_a_key(rig: Rig, base_url: str, header: str | None, said: str) -> None:
    headers = {} if header is None else {"authorization": header}
    async with rig.client(base_url, key="") as client:
        answer = await client.get("/v2/serverless", headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"title": "Unauthorized", "status": 401, "detail": said}
    assert "ratelimit" not in answer.headers


async def test_the_sixty_first_call_of_a_minute_is_a_429_with_retry_after() -> None:
    rig = Rig(windows=WINDOWS)
    async with rig.in_memory() as api, rig.in_memory(OTHER_KEY) as other:
        for left in range(59, -1, -1):
            answer = await api.get("/v2/serverless")
            assert answer.headers["ratelimit"].startswith(f'"minute";r={left};t=60')
        rig.move(48)
        refused = await api.post("/v2/serverless", json=QUEUE)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "12"
        assert refused.headers["ratelimit-policy"].startswith('"minute";q=60;w=60')
        assert refused.json()["detail"] == "rate limit exceeded for the minute window"
        assert rig.world.endpoints == {}
        assert (await other.get("/v2/serverless")).status_code == 200, "the limit is each account's own"
        rig.move(12)
        assert (await api.get("/v2/serverless")).status_code == 200


async def test_refusals_tell_the_quota_too(api: httpx.AsyncClient) -> None:
    for answer in (await api.get("/v2/serverless/none"), await api.post("/v2/serverless", json={})):
        assert answer.headers["ratelimit"]


async def test_a_call_sees_what_was_due_before_it(api: httpx.AsyncClient, rig: Rig) -> None:
    """Nobody else has to move the world on: each call brings it up to the clock first."""
    made = (await api.post("/v2/serverless", json=QUEUE | {"workers": {"min": 1}})).json()
    rig.clock.advance(3600)
    summary = (await api.get(f"/v2/serverless/{made['id']}/workers")).json()["summary"]
    assert (summary["idle"], summary["total"]) == (1, 1)


async def test_what_is_not_http_passes(rig: Rig) -> None:
    """The server's own start and stop reach the application."""
    told: list[str] = []
    messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, str]:
        return {"type": next(messages)}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        told.append(message["type"])

    await rig.app({"type": "lifespan", "state": {}}, receive, send)
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
