"""Failures as documents; the token and sizes are in test_routes.py."""

import httpx
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from orchestrator.errors import StoreUnavailable
from orchestrator.host.edge import answer_refusals


async def test_a_store_that_is_away_and_a_programming_error_are_documents_without_a_traceback() -> None:
    app = FastAPI()
    answer_refusals(app)

    @app.get("/store")
    async def store() -> None:
        raise StoreUnavailable("The store at s does not answer.")

    @app.get("/bug")
    async def bug() -> None:
        raise KeyError("secret-text")

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "I am a teapot.")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        away = await client.get("/store")
        assert (away.status_code, away.json()["error"]["code"]) == (503, "store_unavailable")
        assert away.headers["retry-after"] == "5"
        failed = await client.get("/bug")
        assert (failed.status_code, failed.json()["error"]["code"]) == (500, "internal_error")
        assert "secret-text" not in failed.text
        other = await client.get("/teapot")
        assert (other.status_code, other.json()["error"]["message"]) == (418, "I am a teapot.")
