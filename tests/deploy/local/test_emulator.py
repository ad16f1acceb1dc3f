"""What is asked of the emulator: of the real one, and of one that refuses."""

from pathlib import Path

import httpx
import pytest

from deploy.emulator.command import KEY as EMULATORS_KEY
from deploy.emulator.engines.kinds import ImageCommand
from deploy.errors import EmulatorRefused
from deploy.local.emulator import KEY, Emulator, emulator_arguments
from deploy.local.endpoints import flows_body
from tests.deploy.emulator.control_plane.rig import QUEUE
from tests.deploy.emulator.running import running
from tests.deploy.emulator.worlds import KEY as WORLDS_KEY


def test_its_key_is_the_emulators_own() -> None:
    assert KEY == EMULATORS_KEY


def test_workers_run_the_flow_or_an_engine() -> None:
    """Programs with blanks in their paths too; without an engine of one's own it is llama.cpp."""
    folder = Path("s")
    arguments = emulator_arguments(
        port=8090, seed=7, state_directory=folder, engine=("/my engine",), flows=("/o o", "serve")
    )
    assert " ".join(arguments[:8]) == "--host 127.0.0.1 --port 8090 --seed 7 --state-directory s"
    flows, engine = (ImageCommand.parse(arguments[place]) for place in (9, 11))
    assert (flows.pattern, flows.words) == ("tiergate/flows:local", ("/o o", "serve", "--port", "{port}"))
    assert engine.pattern == "*"
    assert " ".join(engine.words) == "/my engine --model {model} --port {port} --slots {slots} --context {context}"
    built_in = emulator_arguments(port=8090, seed=7, state_directory=folder, engine=(), flows=("/o",))
    assert built_in[10:] == ("--engine", "llama")


@pytest.mark.integration
async def test_endpoints_are_made_cold_and_their_workers_are_told() -> None:
    async with running(speed=1.0) as emulated:
        headers = {"authorization": f"Bearer {WORLDS_KEY}"}
        emulated.client.headers.update(headers)
        transport = WithKey(emulated.client)
        emulator = Emulator(httpx.AsyncClient(transport=transport), origin=emulated.emulator.origin)
        queue = await emulator.create(QUEUE, pull_seconds=400, load_seconds=2)
        balanced = await emulator.create(flows_body("flows", {}), pull_seconds=0, load_seconds=0)
        assert queue.base_url == f"{emulator.origin}/v2/{queue.id}"
        assert balanced.base_url == f"{emulator.origin}/lb/{balanced.id}"
        state = await emulator.state()
        assert [(endpoint.name, endpoint.workers) for endpoint in state.endpoints] == [("route", ()), ("flows", ())]
        faults = emulated.world.endpoint(queue.id).faults
        assert (faults.pull_seconds, faults.load_seconds) == (400, 2)
        await emulated.client.post(f"{queue.base_url}/run", json={"input": {"prompt": "x"}})
        (worker,) = (await emulator.state()).endpoints[0].workers
        assert (worker.state, worker.serving) == ("initializing", False)


class WithKey(httpx.AsyncBaseTransport):
    """Sends on what it gets, with the key that the emulator of these tests knows."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on."""
        answer = await self._client.request(request.method, request.url, content=await request.aread())
        return httpx.Response(answer.status_code, content=answer.content)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.ConnectError("refused"), "failed: ConnectError"),
        (httpx.Response(422, text="workers.max"), "answered 422: workers.max"),
        (httpx.Response(200, text="<html>"), "answered in an unknown form"),
    ],
)
async def test_what_it_does_not_do_is_told(answer: httpx.Response | Exception, message: str) -> None:
    def respond(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    emulator = Emulator(httpx.AsyncClient(transport=httpx.MockTransport(respond)), origin="http://127.0.0.1:1")
    with pytest.raises(EmulatorRefused, match=f"GET http://127.0.0.1:1/emulator/state {message}"):
        await emulator.state()
