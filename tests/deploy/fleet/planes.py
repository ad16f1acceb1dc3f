"""Doubles of Runpod's control plane for tests without sockets, and clients over them."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from deploy.fleet.calls import Calls, client_of
from deploy.fleet.control_plane import ControlPlane

ORIGIN = "https://runpod.test"
Said = tuple[int, Any] | tuple[int, Any, dict[str, str]] | Exception


class Script(httpx.AsyncBaseTransport):
    """Answers one call after the other with what was written down; keeps what it was asked."""

    def __init__(self, answers: Iterable[Said]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The next answer."""
        body = await request.aread()
        path = str(request.url).removeprefix(ORIGIN)
        self.asked.append((request.method, path, json.loads(body) if body else None))
        said = self.answers.pop(0)
        if isinstance(said, Exception):
            raise said
        status, told, *headers = said
        content = b"" if told is None else told.encode() if isinstance(told, str) else json.dumps(told).encode()
        return httpx.Response(status, content=content, headers=headers[0] if headers else {}, request=request)


class Naps:
    """Sleeps no time; keeps how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """One nap."""
        self.seconds.append(seconds)


class Plane:
    """A control plane over a script."""

    def __init__(self, *answers: Said, page: int = 1000) -> None:
        self.script = Script(answers)
        self.naps = Naps()
        self.said: list[str] = []
        client = httpx.AsyncClient(transport=self.script, headers=client_of("rpa_secret").headers)
        self.calls = Calls(client, say=self.said.append, sleep=self.naps)
        self.plane = ControlPlane(self.calls, client, url=ORIGIN, page=page)


def endpoint(name: str = "fleet-routing-0", endpoint_id: str = "e1", **fields: object) -> dict[str, Any]:
    """An endpoint with a queue, as Runpod tells it."""
    base = f"https://api.runpod.ai/v2/{endpoint_id}"
    return {
        "id": endpoint_id,
        "name": name,
        "type": "QUEUE",
        "requestUrls": {"run": f"{base}/run", "health": f"{base}/health"},
        "workers": {"min": 0, "max": 3},
        **fields,
    }


def problem(status: int, detail: str, *errors: str) -> Said:
    """A refusal."""
    return status, {"title": "Refused", "status": status, "detail": detail, **({"errors": errors} if errors else {})}


Make = Callable[..., Plane]
