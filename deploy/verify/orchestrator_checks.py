"""The checks of the orchestrator: it is up, and one Flow runs to its end."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import httpx

from deploy.verify.answer import excerpt
from deploy.verify.calls import answered_by, is_cold
from deploy.verify.course import Course
from deploy.verify.finding import CheckFailed, Layer, NotAsked
from deploy.verify.waiting import Clockwork, Patience

ORCHESTRATOR: Final[Layer] = "orchestrator"
FLOW: Final[Layer] = "Flow"
WAIT_SECONDS = 60
"""How long one request waits for the run's end: shorter than the balancer's edge lets one last."""
_OPEN = ("queued", "running")
_WARMING, _OK, _UNAUTHORIZED = 204, 200, (401, 403)


class OrchestratorChecks:
    """One orchestrator."""

    def __init__(self, client: httpx.AsyncClient, url: str, patience: Patience, clockwork: Clockwork) -> None:
        """``client`` sends what the orchestrator's edge and app ask for."""
        self._client = client
        self._url = url.rstrip("/")
        self._patience = patience
        self._clockwork = clockwork

    async def run(self, course: Course, *, flow: str, inputs: object, after: bool) -> None:
        """``flow`` is the name of one that may be run; empty for none."""

        async def ran() -> Sequence[str]:
            return await self._ran(flow, inputs)

        up = await course.check(ORCHESTRATOR, "", "/ping", self._up)
        await course.check(FLOW, flow, "runs to its end", ran, after=up and after)

    async def _up(self) -> Sequence[str]:
        began = self._clockwork.clock()
        while True:
            answered = answered_by(await self._client.get(f"{self._url}/ping"))
            if answered.good:
                return [excerpt(answered.text)]
            waited = self._clockwork.clock() - began
            warming = answered.status == _WARMING or is_cold(answered)
            if not warming or waited >= self._patience.worker:
                seen = [f"HTTP {answered.status} after {waited:.0f} s: {excerpt(answered.text)}"]
                raise CheckFailed("not_up", evidence=seen, remedy=_remedy(answered.status))
            self._clockwork.say(f"orchestrator: starts, {waited:.0f} s")
            await self._clockwork.sleep(self._patience.look)

    async def _ran(self, flow: str, inputs: object) -> Sequence[str]:
        if not flow:
            raise NotAsked("no Flow named: give --flow NAME for one that may be run")
        body = {} if inputs is None else {"inputs": inputs}
        answer = await self._client.post(f"{self._url}/flows/{flow}/runs", json=body)
        told = _run(answer)
        async with asyncio.timeout(self._patience.worker):
            while told["status"] in _OPEN:
                self._clockwork.say(f"Flow {flow}: {told['status']}, {told.get('steps', 0)} steps are done")
                query = {"wait_seconds": str(WAIT_SECONDS)}
                told = _run(await self._client.get(f"{self._url}/runs/{told['run']}", params=query))
        if told["status"] not in {"succeeded", "waiting"}:
            seen = [f"{told['run']}: {told['status']}", excerpt(str(told.get("error")))]
            raise CheckFailed(
                "flow_failed", evidence=seen, remedy="the error names the step; the gateway itself answers"
            )
        return [f"{told['run']}: {told['status']}, {told.get('steps', 0)} steps", excerpt(str(told.get("output")))]


def _run(answer: httpx.Response) -> dict[str, Any]:
    answered = answered_by(answer)
    if not answer.is_success or not isinstance(answered.told, dict) or "status" not in answered.told:
        error = answered.told.get("error") if isinstance(answered.told, dict) else None
        code = error.get("code") if isinstance(error, dict) else None
        seen = [f"HTTP {answered.status}: {excerpt(answered.text)}"]
        remedy = (error.get("remedy") if isinstance(error, dict) else None) or _remedy(answered.status)
        raise CheckFailed(str(code or "flow_refused"), evidence=seen, remedy=str(remedy))
    return answered.told


def _remedy(status: int) -> str:
    if status in _UNAUTHORIZED:
        return "the edge takes Runpod's key alone, the app its token: see --runpod-key and --app-token"
    if status in {502, 503, 504}:
        return "its worker runs and does not serve: PORT, PORT_HEALTH and the exposed port must be the same"
    return "see the worker's log: it says at start which Flow cannot be loaded, and why"
