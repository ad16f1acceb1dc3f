"""What answers which path; each handler reads the request, asks the desk, and writes a document."""

from collections.abc import AsyncIterator, Mapping
from json import dumps
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from orchestrator.host.bodies import (
    FeedbackBody,
    FlowDocument,
    FlowsDocument,
    PingDocument,
    RefusalDocument,
    ResumeBody,
    RunBody,
    RunDocument,
    RunsDocument,
    links,
)
from orchestrator.host.desk import RunDesk, Wish
from orchestrator.host.refusals import Refused
from orchestrator.runs.run import Run, RunState

SYNC_SECONDS_MAX: Final = 300.0
"""How long an answer waits for a run: the balancer cuts a request after 330 seconds."""
EVENTS_SECONDS_MAX: Final = 300.0
"""How long one stream of events lasts; the client comes back with the last event's number."""
IDEMPOTENCY_KEY_LENGTH_MAX: Final = 256
RUNS_PAGE: Final = 50
RUNS_PAGE_MAX: Final = 500
_EVENTS_RETRY_MILLISECONDS: Final = 1000
_ENDED_OK: Final = frozenset({RunState.SUCCEEDED})

IdempotencyKey = Annotated[
    str,
    Header(
        max_length=IDEMPOTENCY_KEY_LENGTH_MAX,
        description="Your name for this request: asked again with it, the run that it made is answered, not another.",
    ),
]
WaitSeconds = Annotated[
    float, Query(ge=0, le=SYNC_SECONDS_MAX, description="How long to wait for the run's end before answering.")
]


class FlowAsked(Protocol):
    """A Flow that is hosted, as its documents tell it."""

    @property
    def code(self) -> str:
        """The fingerprint of its code."""

    def inputs_schema(self) -> dict[str, Any]:
        """The JSON schema of its inputs."""


class Serving(Protocol):
    """The host, as its handlers see it."""

    def desk(self, *, for_new: bool = False) -> RunDesk:
        """The desk. Raises ``Refused`` while it warms up, and for a new run while it drains."""

    @property
    def draining(self) -> bool:
        """Whether it takes no more runs."""

    @property
    def runs(self) -> int:
        """Runs under way here."""

    def flows(self) -> Mapping[str, FlowAsked]:
        """The Flows that are hosted, none while it warms up."""

    def affinity(self) -> dict[str, str]:
        """Headers that bring a caller back to this worker; none where any worker will do."""

    async def held(self) -> str:
        """Wait until no run is under way, bounded; the name of this worker."""

    def metrics(self) -> bytes:
        """Its series, for Prometheus."""


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": RefusalDocument} for status in statuses}


class Routes:
    """The handlers of one host."""

    def __init__(self, host: Serving) -> None:
        self._host = host

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter()
        add = router.add_api_route
        ping: dict[int | str, dict[str, Any]] = {
            204: {"description": "It warms up."},
            503: {"description": "It drains."},
        }
        add("/ping", self.ping, methods=["GET"], response_model=PingDocument, responses=ping, tags=["worker"])
        add("/metrics", self.metrics, methods=["GET"], response_class=Response, tags=["worker"])
        add("/hold", self.hold, methods=["GET"], include_in_schema=False)
        add("/flows", self.flows, methods=["GET"], response_model=FlowsDocument, responses=_answers(401, 503))
        sync: dict[int | str, dict[str, Any]] = {
            202: {"model": RunDocument, "description": "It goes on: ask at the address in Location."},
            500: {"model": RunDocument, "description": "It failed, or was cancelled."},
            **_answers(401, 404, 409, 413, 422, 503),
        }
        add("/flows/{flow}", self.run_flow, methods=["POST"], response_model=RunDocument, responses=sync)
        begun = _answers(401, 404, 409, 413, 422, 503)
        add(
            "/flows/{flow}/runs",
            self.begin_run,
            methods=["POST"],
            status_code=202,
            response_model=RunDocument,
            responses=begun,
        )
        add("/runs", self.runs, methods=["GET"], response_model=RunsDocument, responses=_answers(401, 422, 503))
        known = _answers(401, 404, 503)
        add("/runs/{run}", self.run, methods=["GET"], response_model=RunDocument, responses=known)
        add(
            "/runs/{run}/events",
            self.events,
            methods=["GET"],
            response_class=EventSourceResponse,
            responses=known,
            dependencies=[Depends(self.known_run)],
        )
        changed: dict[str, Any] = {
            "status_code": 202,
            "response_model": RunDocument,
            "responses": _answers(401, 404, 409, 422, 503),
        }
        add("/runs/{run}/cancel", self.cancel, methods=["POST"], **changed)
        add("/runs/{run}/resume", self.resume, methods=["POST"], **changed)
        add("/runs/{run}/feedback", self.feedback, methods=["POST"], **changed)
        return router

    async def ping(self) -> Response:
        """Whether this worker serves: 204 while it warms up, 200 when it serves, 503 while it drains."""
        if self._host.draining:
            raise Refused("draining", "This worker is ending.")
        flows = sorted(self._host.flows())
        if not flows:
            return Response(status_code=204)
        return JSONResponse(PingDocument(status="ready", flows=flows, runs=self._host.runs).model_dump())

    async def metrics(self) -> Response:
        """This worker's series, for Prometheus."""
        return Response(self._host.metrics(), media_type="text/plain; version=0.0.4")

    async def hold(self) -> dict[str, object]:
        """Answer when no run is under way here; what this worker asks itself to stay awake."""
        return {"worker": await self._host.held(), "runs": self._host.runs}

    async def flows(self) -> FlowsDocument:
        """The Flows that are hosted, with what each can be asked with."""
        self._host.desk()
        hosted = self._host.flows()
        return FlowsDocument(
            flows=[
                FlowDocument(flow=name, code=hosted[name].code, inputs=hosted[name].inputs_schema())
                for name in sorted(hosted)
            ]
        )

    async def run_flow(
        self,
        flow: str,
        body: RunBody | None = None,
        idempotency_key: IdempotencyKey = "",
        wait_seconds: WaitSeconds = SYNC_SECONDS_MAX,
    ) -> Response:
        """Run a Flow and answer when it has ended, or with 202 when that takes longer than a caller may wait."""
        desk = self._host.desk(for_new=True)
        asked, is_new = await desk.ask(flow, _wish(body or RunBody(), idempotency_key))
        run = await desk.ended(asked.name, seconds_max=wait_seconds)
        status = (200 if run.state in _ENDED_OK else 500) if run.state.ended else 202
        return self._told(run, status, is_new=is_new)

    async def begin_run(self, flow: str, body: RunBody | None = None, idempotency_key: IdempotencyKey = "") -> Response:
        """Begin a run and answer at once with its address."""
        desk = self._host.desk(for_new=True)
        run, is_new = await desk.ask(flow, _wish(body or RunBody(), idempotency_key))
        return self._told(run, 202, is_new=is_new)

    async def runs(
        self,
        flow: Annotated[str, Query(description="Only this Flow's.")] = "",
        state: Annotated[list[RunState] | None, Query(description="Only in these states; may be repeated.")] = None,
        before: Annotated[float, Query(ge=0, description="Only runs made before this moment, Unix seconds.")] = 0.0,
        limit: Annotated[int, Query(ge=1, le=RUNS_PAGE_MAX)] = RUNS_PAGE,
    ) -> RunsDocument:
        """The newest runs first."""
        found = await self._host.desk().runs(flow=flow, states=tuple(state or ()), before_unix=before, limit=limit)
        more = found[-1].created_unix if len(found) == limit else None
        return RunsDocument(runs=[RunDocument.of(run) for run in found], before=more)

    async def run(self, run: str, wait_seconds: WaitSeconds = 0.0) -> RunDocument:
        """A run as it is now, or when it has ended within ``wait_seconds``."""
        return RunDocument.of(await self._host.desk().ended(run, seconds_max=wait_seconds))

    async def known_run(self, run: str) -> None:
        """Refuse where there is no such run, before a stream of its events begins."""
        await self._host.desk().run(run)

    async def events(
        self,
        run: str,
        last_event_id: Annotated[int, Header(ge=0, description="Go on after the event of this number.")] = 0,
    ) -> AsyncIterator[ServerSentEvent]:
        """What happens in a run, in order, as server-sent events: all of it from the start, then live to its end."""
        desk = self._host.desk()
        async for event in desk.events(run, after=last_event_id, seconds_max=EVENTS_SECONDS_MAX):
            yield ServerSentEvent(
                raw_data=dumps({"unix": event.unix, **event.data}, ensure_ascii=False),
                event=event.type,
                id=str(event.number),
                retry=_EVENTS_RETRY_MILLISECONDS,
            )

    async def cancel(self, run: str) -> Response:
        """Have a run cancelled: at once where no worker has it, else as soon as its worker hears of it."""
        return self._told(await self._host.desk().cancel(run), 202)

    async def resume(self, run: str, body: ResumeBody | None = None) -> Response:
        """Have a failed or cancelled run go on after the last step that is kept."""
        accept = body is not None and body.accept_changed_code
        return self._told(await self._host.desk(for_new=True).resume(run, accept_changed_code=accept), 202)

    async def feedback(self, run: str, body: FeedbackBody) -> Response:
        """Tell a run that waits for a person what that person says."""
        return self._told(await self._host.desk(for_new=True).answer(run, body.feedback), 202)

    def _told(self, run: Run, status: int, *, is_new: bool = True) -> Response:
        headers = {"location": links(run.name)["self"], **self._host.affinity()}
        if not is_new:
            headers["idempotent-replayed"] = "true"
        return JSONResponse(RunDocument.of(run).model_dump(), status_code=status, headers=headers)


def _wish(body: RunBody, idempotency_key: str) -> Wish:
    return Wish(
        inputs=body.inputs,
        name=body.run,
        idempotency_key=idempotency_key,
        usd_max=body.max_usd,
        calls_max=body.max_calls,
        seconds_max=body.deadline_seconds,
    )
