"""An account of Runpod's in memory: enough of REST v2 to make, change and end things, with faults on demand."""

import json
from typing import Any

import httpx

from deploy.fleet.calls import Calls, client_of
from deploy.fleet.control_plane import ControlPlane
from tests.deploy.fleet.planes import ORIGIN, Naps

_LISTS = {
    "serverless": "endpoints",
    "registries": "registries",
    "network-volumes": "networkVolumes",
    "secrets": "secrets",
}


class Account(httpx.AsyncBaseTransport):
    """Answers calls; ``lost`` are methods and paths whose next answer is lost after it was made."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _LISTS}
        self.calls: list[str] = []
        self.lost: list[str] = []
        self.refused: dict[str, int] = {}
        self.hidden = 0
        self.jobs: dict[str, list[int]] = {}
        self.naps = Naps()
        client = httpx.AsyncClient(transport=self, headers=client_of("k").headers)
        self.plane = ControlPlane(Calls(client, sleep=self.naps), client, url=ORIGIN)

    @property
    def endpoints(self) -> dict[str, dict[str, Any]]:
        """Its endpoints by id."""
        return self.things["serverless"]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One call."""
        kind, _, one = request.url.path.removeprefix("/v2/").partition("/")
        call = f"{request.method} {kind}"
        body = json.loads(await request.aread() or b"null")
        if request.method != "GET":
            self.calls.append(f"{call} {one or body['name']}")
        if one and kind not in _LISTS:
            waiting = self.jobs.get(kind) or [0]
            count = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            return httpx.Response(200, json={"jobs": {"inQueue": 0, "inProgress": count}}, request=request)
        if call in self.refused:
            return httpx.Response(self.refused[call], json={"detail": "no"}, request=request)
        status, told = self._serve(request.method, kind, one, body)
        if call in self.lost:
            self.lost.remove(call)
            return httpx.Response(504, request=request)
        return httpx.Response(status, json=told, request=request) if told is not None else httpx.Response(status)

    def _serve(self, method: str, kind: str, one: str, body: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        things = self.things[kind]
        if one and one not in things:
            return 404, {"detail": f"{kind} not found"}
        match method:
            case "GET" if one:
                return 200, things[one]
            case "GET":
                shown = [] if self.hidden > 0 else list(things.values())
                self.hidden -= 1
                return 200, {_LISTS[kind]: shown}
            case "POST":
                made = {key: value for key, value in body.items() if key not in {"value", "password", "username"}}
                made["id"] = f"{kind[0]}{len(things)}"
                base = f"https://api.runpod.ai/v2/{made['id']}"
                if body.get("type") == "LOAD_BALANCER":
                    made["requestUrls"] = {"base": f"https://{made['id']}.api.runpod.ai"}
                elif kind == "serverless":
                    made["requestUrls"] = {"run": f"{base}/run"}
                things[made["id"]] = made
                return 201, made
            case "PATCH":
                things[one].update(body)
                return 200, things[one]
            case _:
                del things[one]
                return 204, None
