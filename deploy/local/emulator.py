"""What the local system asks the emulator: endpoints by Runpod's REST v2, and by its own API faults and workers."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from deploy.errors import EmulatorRefused
from deploy.local.endpoints import FLOWS_IMAGE
from deploy.local.ports import HOST

KEY = "rpa_emulator"
"""The emulator's own key, which protects nothing; it is given where a real one would be."""
STATE_PATH = "/emulator/state"
_ENGINE_OPTIONS = "--model {model} --port {port} --slots {slots} --context {context}"
_Body = TypeVar("_Body", bound=BaseModel)


def emulator_arguments(
    *, port: int, seed: int, state_directory: Path, engine: Sequence[str], flows: Sequence[str]
) -> tuple[str, ...]:
    """The emulator's command line after its program.

    Args:
        port: Where it is to listen.
        seed: What its dice begin with.
        state_directory: Where its workers' logs are kept.
        engine: Runs behind the tiers' workers in place of llama.cpp; empty for that.
        flows: Runs behind the workers that host the Flow.
    """
    arguments = ["--host", HOST, "--port", str(port), "--seed", str(seed), "--state-directory", str(state_directory)]
    arguments += ["--run", f"{FLOWS_IMAGE}={shlex.join(flows)} --port {{port}}"]
    arguments += ["--run", f"*={shlex.join(engine)} {_ENGINE_OPTIONS}"] if engine else ["--engine", "llama"]
    return tuple(arguments)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


class WorkerState(_Answer):
    """One worker, as the emulator tells it."""

    id: str
    state: str
    serving: bool


class EndpointState(_Answer):
    """One endpoint with its workers."""

    id: str
    name: str
    workers: tuple[WorkerState, ...]


class EmulatorState(_Answer):
    """Every endpoint."""

    endpoints: tuple[EndpointState, ...]


class MadeEndpoint(_Answer):
    """An endpoint that was just made."""

    id: str
    request_urls: dict[str, str]

    @property
    def base_url(self) -> str:
        """Under which it is called: of an endpoint with a queue ``…/v2/<id>``, of a balanced one where its paths
        begin.
        """
        return self.request_urls.get("base") or self.request_urls.get("run", "").removesuffix("/run")


class Emulator:
    """A running emulator. Every method raises ``EmulatorRefused`` where it does not answer as agreed."""

    def __init__(self, client: httpx.AsyncClient, *, origin: str) -> None:
        self._client = client
        self.origin = origin

    async def create(self, body: dict[str, Any], *, pull_seconds: float, load_seconds: float) -> MadeEndpoint:
        """Make an endpoint whose cold starts take so long."""
        made = await self._ask(MadeEndpoint, "POST", "/v2/serverless", body)
        await self.slow_down(made.id, pull_seconds=pull_seconds, load_seconds=load_seconds)
        return made

    async def slow_down(self, endpoint_id: str, *, pull_seconds: float, load_seconds: float) -> None:
        """Let an endpoint's cold starts take so long."""
        faults = {"pullSeconds": pull_seconds, "loadSeconds": load_seconds}
        await self._ask(_Answer, "PATCH", f"/emulator/endpoints/{endpoint_id}/faults", faults)

    async def state(self) -> EmulatorState:
        """Every endpoint with its workers, now."""
        return await self._ask(EmulatorState, "GET", STATE_PATH)

    async def _ask(self, body: type[_Body], method: str, path: str, sent: dict[str, Any] | None = None) -> _Body:
        url = f"{self.origin}{path}"
        remedy = "the emulator's log says more; all of Tiergate must be of the same version"
        try:
            answer = await self._client.request(method, url, json=sent, headers={"authorization": f"Bearer {KEY}"})
        except httpx.HTTPError as error:
            raise EmulatorRefused(f"{method} {url} failed: {type(error).__name__}", remedy=remedy) from error
        if not answer.is_success:
            raise EmulatorRefused(f"{method} {url} answered {answer.status_code}: {answer.text[:300]}", remedy=remedy)
        try:
            return body.model_validate_json(answer.content)
        except ValidationError as error:
            raise EmulatorRefused(f"{method} {url} answered in an unknown form: {error}", remedy=remedy) from error
