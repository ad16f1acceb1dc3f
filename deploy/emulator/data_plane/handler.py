"""What vLLM's worker does with a job: it posts it to the engine and yields what comes back.

An answer is one value, a stream a series of texts; an error becomes a Python repr with the engine's JSON inside it.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from random import Random
from typing import Any, Protocol

from deploy.emulator.data_plane.pieces import Cutter, Spoiler, StreamCut
from deploy.emulator.engines.job_taker import JobTaker
from deploy.emulator.engines.reply import Call, Reply
from deploy.emulator.model.faults import Faults
from deploy.emulator.model.job import Job

_ERROR_FROM = 400
_HEADERS = (("content-type", "application/json"),)


class Engine(Protocol):
    """What runs in one container."""

    async def start(self) -> None:
        """Start it; returns when it answers.

        Raises:
            EngineFailed: It could not start.
        """

    async def ended(self) -> str:
        """Wait until it has ended by itself; returns its last words."""

    async def stop(self) -> None:
        """Stop it."""

    async def request(self, call: Call) -> Reply:
        """Answer one request.

        Raises:
            EngineFailed: It does not answer.
        """


class JobFailed(Exception):
    """The handler ended with an error, which is the message."""


async def handle(
    job_input: Mapping[str, Any], engine: Engine, faults: Faults, random: Random
) -> AsyncGenerator[Any, None]:
    """Work on one job; yields its output.

    Raises:
        JobFailed: The engine answered with an error.
        EngineFailed: The engine has gone.
    """
    reply = await engine.request(call_of(job_input))
    async with aclosing(spoiled(reply, faults)) as pieces:
        status = faults.engine_status or reply.status
        if status >= _ERROR_FROM:
            body = engine_error(status) if faults.engine_status else await _all(pieces)
            message = f"vLLM returned HTTP {status}: {body.decode(errors='replace')}"
            raise JobFailed(repr({"error": {"message": message, "type": "worker_error", "code": None}}))
        if not reply.content_type.startswith("text/event-stream"):
            yield json.loads(await _all(pieces))
            return
        cutter = Cutter(random, faults)
        try:
            async for piece in pieces:
                for text in cutter.feed(piece):
                    yield text
        except StreamCut:
            return
        for text in cutter.end():
            yield text


async def taken(engine: JobTaker, job: Job) -> AsyncGenerator[Any, None]:
    """Have a worker that takes its jobs itself work on one; yields its output.

    Raises:
        JobFailed: It ended with an error.
    """
    body = await engine.work(job.id, job.input)
    if body.get("error"):
        raise JobFailed(str(body["error"]))
    if "output" in body:
        yield body["output"]


async def _all(pieces: AsyncGenerator[bytes, None]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def spoiled(reply: Reply, faults: Faults) -> AsyncGenerator[bytes, None]:
    """The pieces of a reply; those of a stream as faults have them.

    Raises:
        StreamCut: A fault ends the stream here.
    """
    spoiler = Spoiler(faults if reply.content_type.startswith("text/event-stream") else Faults())
    async with aclosing(reply.pieces) as pieces:
        async for piece in pieces:
            yield spoiler.spoil(piece)


def call_of(job_input: Mapping[str, Any]) -> Call:
    """The request that a job asks its engine: an OpenAI one, or what its messages or prompt make of it."""
    route = str(job_input.get("openai_route") or "")
    if route and not route.startswith("/"):
        route = f"/{route}"
    asked = job_input.get("openai_input")
    if route and asked is None:
        return Call(method="GET", path=route)
    if not route:
        route = "/v1/chat/completions" if "messages" in job_input else "/v1/completions"
        asked = {name: job_input[name] for name in ("messages", "prompt", "stream") if name in job_input}
        asked |= job_input.get("sampling_params") or {}
    return Call(method="POST", path=route, headers=_HEADERS, body=json.dumps(asked).encode())


def engine_error(status: int) -> bytes:
    """What vLLM says with a status that a fault demands."""
    kinds = {400: "BadRequestError", 404: "NotFoundError", 501: "NotImplementedError"}
    kind = kinds.get(status, "InternalServerError")
    error = {"message": "The emulator was asked for this error.", "type": kind, "param": None, "code": status}
    return json.dumps({"error": error}).encode()
