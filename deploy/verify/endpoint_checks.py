"""The checks of one endpoint of a tier's: there, a worker, an answer, a stream, tools, JSON."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from deploy.fleet.answers import DeployedEndpoint
from deploy.fleet.control_plane import ControlPlane
from deploy.fleet.errors import ControlPlaneMissing
from deploy.verify.answer import completion, excerpt, failure, structured, tool_call, usage_of, wrong_model
from deploy.verify.calls import Answered, ask, first_balanced, first_by_job, served_models
from deploy.verify.course import Course
from deploy.verify.diagnosis import PAUSED, counted
from deploy.verify.finding import CheckFailed, Layer, NotAsked
from deploy.verify.subject import TOOL_NAME, Subject, chat, streamed, with_schema, with_tool
from deploy.verify.waiting import Clockwork, Patience, Watch

LAYER: Final[Layer] = "endpoint"


class EndpointChecks:
    """One endpoint, asked step by step."""

    def __init__(
        self, subject: Subject, plane: ControlPlane, client: httpx.AsyncClient, patience: Patience, clockwork: Clockwork
    ) -> None:
        self._subject = subject
        self._plane = plane
        self._client = client
        self._patience = patience
        self._clockwork = clockwork
        self._endpoint: DeployedEndpoint | None = None
        self._first: Answered | None = None

    async def run(self, course: Course, *, after: bool) -> bool:
        """All of them; returns whether the endpoint gave an answer."""
        key = self._subject.key
        there = await course.check(LAYER, key, "there", self._there, after=after)
        worker = await course.check(LAYER, key, "a worker takes a request", self._worker, after=there)
        answers = await course.check(LAYER, key, f"answers as {self._subject.model}", self._answer, after=worker)
        await course.check(LAYER, key, "streams, with usage", self._stream, after=answers)
        await course.check(LAYER, key, "calls a tool", self._tool, after=answers)
        await course.check(LAYER, key, "keeps to a JSON schema", self._schema, after=answers)
        return answers

    async def _there(self) -> Sequence[str]:
        try:
            endpoint = await self._plane.endpoint(self._subject.id)
        except ControlPlaneMissing:
            seen = [f"the account has no endpoint {self._subject.id}"]
            raise CheckFailed("gone", evidence=seen, remedy="`tiergate-deploy apply` makes it again") from None
        health = await self._plane.health(endpoint)
        if endpoint.workers_max == 0:
            raise CheckFailed(PAUSED.cause, evidence=["workers.max: 0", counted(health)], remedy=PAUSED.remedy)
        self._endpoint = endpoint
        return [f"{endpoint.name} ({endpoint.id}), {endpoint.type}", counted(health)]

    async def _worker(self) -> Sequence[str]:
        assert self._endpoint is not None  # noqa: S101 - asked before
        watch = Watch(self._plane, self._endpoint, self._subject.key, self._patience, self._clockwork)
        began = self._clockwork.clock()
        first = first_by_job if self._subject.type == "QUEUE" else first_balanced
        self._first = await first(self._client, self._subject, chat(self._subject.model), watch)
        return [f"after {self._clockwork.clock() - began:.1f} s"]

    async def _answer(self) -> Sequence[str]:
        assert self._first is not None  # noqa: S101 - asked before
        model = self._subject.model
        try:
            if not self._first.good:
                raise failure(self._first.status, self._first.text, model=model)
            return [excerpt(completion(self._first.told, model=model))]
        except CheckFailed as wrong:
            if wrong.cause != "wrong_model":
                raise
            raise wrong_model(model, await served_models(self._client, self._subject), wrong.evidence[:1]) from None

    async def _stream(self) -> Sequence[str]:
        url = f"{self._subject.openai_url}/chat/completions"
        async with (
            asyncio.timeout(self._patience.answer),
            self._client.stream("POST", url, json=streamed(self._subject.model)) as answer,
        ):
            if not answer.is_success:
                raise failure(answer.status_code, (await answer.aread()).decode(), model=self._subject.model)
            lines = [line async for line in answer.aiter_lines()]
        usage = usage_of(lines, model=self._subject.model)
        return [f"{usage.get('prompt_tokens')} tokens in, {usage['completion_tokens']} out"]

    async def _tool(self) -> Sequence[str]:
        if not self._subject.tools:
            raise NotAsked("no tool parser in the tier map")
        answered = await self._asked(with_tool(self._subject.model))
        return [tool_call(answered.told, model=self._subject.model, tool=TOOL_NAME)]

    async def _schema(self) -> Sequence[str]:
        answered = await self._asked(with_schema(self._subject.model))
        return [structured(completion(answered.told, model=self._subject.model))]

    async def _asked(self, body: Mapping[str, Any]) -> Answered:
        async with asyncio.timeout(self._patience.answer):
            answered = await ask(self._client, self._subject, body)
        if not answered.good:
            raise failure(answered.status, answered.text, model=self._subject.model)
        return answered
