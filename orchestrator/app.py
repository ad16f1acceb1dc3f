"""The app behind a load balancer: hosts one Flow, and says when it can.

    GET  /ping          204 while it warms up, 200 when it serves, 503 while it drains
    POST /flows/{flow}  {"inputs": {…}, "run": "name"}, both optional: runs the Flow, answers when the run has ended

A run is answered as ``tiergate-orchestrator run --output json`` prints it: 200 where it ended well, 500 where it
failed. Who calls was checked by the balancer's edge; this app knows no keys.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from orchestrator.errors import InputsRefused, OrchestratorError
from orchestrator.run_names import RUN_NAME

RUN_SECONDS_MAX = 300.0
"""How long a caller waits for a run: the balancer cuts a request after 5.5 minutes and says nothing of use."""
RUNS_MAX = 8
"""Runs at once in one worker; each has a thread of its own."""
BODY_BYTES_MAX = 1_000_000
_RETRY_AFTER = {"retry-after": "5"}
_UNAVAILABLE = 503
_POLL_SECONDS = 0.5

Document = Mapping[str, object]


class Run(Protocol):
    """One run that has not begun yet."""

    def work(self) -> Document:
        """Run to the end, in this thread. Raises ``InputsRefused`` before anything started."""

    def cancel(self) -> None:
        """End the run; from any thread."""


class HostedFlow(Protocol):
    """The Flow that is hosted."""

    name: str

    def prepare(self, inputs: Mapping[str, object], run: str | None) -> Run:
        """A run with these inputs; ``run`` is its name, a fresh one where it is ``None``."""


class RunBody(BaseModel):
    """The body of ``POST /flows/{flow}``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, JsonValue] = {}
    run: Annotated[str, StringConstraints(pattern=f"^{RUN_NAME}$")] | None = None


class FlowHost:
    """Hosts one Flow: warming up, then serving, then draining.

    Attributes:
        draining: Whether it takes no more runs.
    """

    def __init__(
        self,
        *,
        load: Callable[[], HostedFlow],
        reachable: Callable[[], Awaitable[bool]],
        on_broken: Callable[[OrchestratorError], None],
        run_seconds_max: float = RUN_SECONDS_MAX,
        runs_max: int = RUNS_MAX,
    ) -> None:
        """Make a host that is still to warm up.

        Args:
            load: Gives the Flow; takes seconds, and is called in a thread.
            reachable: Whether the gateway answers with this orchestrator's key.
            on_broken: Told where the Flow cannot be loaded: it will never serve.
            run_seconds_max: How long a caller waits for a run.
            runs_max: Runs at once.
        """
        self.draining = False
        self._load = load
        self._reachable = reachable
        self._on_broken = on_broken
        self._run_seconds_max = run_seconds_max
        self._runs_max = runs_max
        self._threads = ThreadPoolExecutor(runs_max + 1, thread_name_prefix="run")
        self._flow: HostedFlow | None = None
        self._open: set[Run] = set()

    @property
    def runs(self) -> int:
        """How many runs are under way."""
        return len(self._open)

    def app(self) -> Starlette:
        """The ASGI application; its lifespan is the host's."""
        return Starlette(
            routes=[
                Route("/ping", self._ping, methods=["GET"]),
                Route("/flows/{flow}", self._run, methods=["POST"]),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        warming = asyncio.get_running_loop().create_task(self._warm_up())
        try:
            yield
        finally:
            warming.cancel()
            for run in list(self._open):
                run.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)
            await asyncio.gather(warming, return_exceptions=True)

    async def _warm_up(self) -> None:
        try:
            flow = await asyncio.get_running_loop().run_in_executor(self._threads, self._load)
        except OrchestratorError as error:
            self._on_broken(error)
            return
        while not await self._reachable():  # noqa: ASYNC110 - another program's condition: nobody tells when it has come
            await asyncio.sleep(_POLL_SECONDS)
        self._flow = flow

    async def _ping(self, _request: Request) -> Response:
        if self.draining:
            return _refusal(_UNAVAILABLE, "this worker is ending")
        if self._flow is None:
            return Response(status_code=204)
        return JSONResponse({"status": "ready", "flow": self._flow.name, "runs": self.runs})

    async def _run(self, request: Request) -> Response:
        flow = self._flow
        if flow is None or self.draining:
            return _refusal(
                _UNAVAILABLE, "this worker is ending" if self.draining else "this worker is still warming up"
            )
        asked = request.path_params["flow"]
        if asked != flow.name:
            return _refusal(404, f"there is no Flow {asked!r} here, only {flow.name!r}")
        if self.runs >= self._runs_max:
            return _refusal(_UNAVAILABLE, f"this worker has {self.runs} runs under way, which is all that it takes")
        try:
            body = RunBody.model_validate_json(await _body(request) or b"{}")
        except _BodyTooLarge:
            return _refusal(413, f"the body is larger than {BODY_BYTES_MAX} bytes")
        except ValidationError as error:
            problems = [(".".join(map(str, each["loc"])) or "body", each["msg"]) for each in error.errors()]
            return _refusal(422, "the body is not {inputs, run}", problems)
        return await self._answer(flow.prepare(body.inputs, body.run))

    async def _answer(self, run: Run) -> Response:
        """Run it in a thread, and answer when it has ended or the time is over."""
        self._open.add(run)
        working = self._threads.submit(run.work)
        working.add_done_callback(lambda _: self._open.discard(run))
        try:
            async with asyncio.timeout(self._run_seconds_max):
                document = await asyncio.wrap_future(working)
        except TimeoutError:
            run.cancel()
            return _refusal(504, f"the run took longer than {self._run_seconds_max:g} s and was ended")
        except InputsRefused as refused:
            problems = [(problem.field, problem.reason) for problem in refused.problems]
            return _refusal(422, "the Flow refuses its inputs", problems)
        return JSONResponse(document, status_code=200 if document["status"] == "ok" else 500)


class _BodyTooLarge(Exception):
    """The body has more than ``BODY_BYTES_MAX`` bytes."""


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise _BodyTooLarge
    return bytes(body)


def _refusal(status: int, message: str, problems: list[tuple[str, str]] | None = None) -> Response:
    error: dict[str, object] = {"message": message}
    if problems is not None:
        error["problems"] = [{"field": field, "reason": reason} for field, reason in problems]
    return JSONResponse({"error": error}, status_code=status, headers=_RETRY_AFTER if status == _UNAVAILABLE else None)
