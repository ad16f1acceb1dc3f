import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from deploy.emulator.control_plane.routing import resource


async def read(_: Request) -> Response:
    return PlainTextResponse("read")


async def write(_: Request) -> Response:
    return PlainTextResponse("written", status_code=201)


async def test_each_method_has_its_handler_and_a_405_names_them_all() -> None:
    app = Starlette(routes=[resource("/x", get=read, post=write)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert (await client.get("/x")).text == "read"
        assert (await client.head("/x")).status_code == 200
        assert (await client.post("/x")).status_code == 201
        refused = await client.delete("/x")
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
