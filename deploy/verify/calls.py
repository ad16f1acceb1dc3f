"""The first call to an endpoint, which wakes a worker, and the calls that follow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from deploy.verify.answer import failure
from deploy.verify.subject import Subject
from deploy.verify.waiting import Watch

JOB_SECONDS = 3600
"""How long Runpod keeps the job at most, where it is forgotten here."""
_COLD_STATUSES = (400, 502, 503, 504, 524)
_COLD_WORDS = ("timed out waiting for worker", "no workers available")
_OK, _BAD_REQUEST = 200, 400
_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back: a job's output or a body, with its status; 0 where HTTP has none."""

    status: int
    told: Any
    text: str

    @property
    def good(self) -> bool:
        """Whether it is an answer at all."""
        return self.status == _OK


async def first_by_job(client: httpx.AsyncClient, subject: Subject, body: Mapping[str, Any], watch: Watch) -> Answered:
    """One completion as a job, which bears any cold start; cancelled where it is given up.

    Raises:
        CheckFailed: No worker took it.
    """
    asked = {
        "input": {"openai_route": "/v1/chat/completions", "openai_input": dict(body)},
        "policy": {"ttl": JOB_SECONDS * _MILLISECONDS},
    }
    answer = await client.post(f"{subject.url}/run", json=asked)
    if not answer.is_success:
        raise failure(answer.status_code, answer.text, model=subject.model)
    job = answer.json()["id"]
    ended = False
    try:
        while True:
            answer = await client.get(f"{subject.url}/status/{job}")
            told = answer.json() if answer.is_success else {"status": "GONE", "error": answer.text}
            if told["status"] == "COMPLETED":
                ended = True
                return Answered(status=_OK, told=told.get("output"), text=str(told.get("output")))
            if told["status"] not in {"IN_QUEUE", "IN_PROGRESS", "RUNNING"}:
                ended = True
                return Answered(status=0, told=None, text=f"{told['status']}: {told.get('error', '')}")
            await watch.look()
    finally:
        if not ended:
            await client.post(f"{subject.url}/cancel/{job}")


async def first_balanced(
    client: httpx.AsyncClient, subject: Subject, body: Mapping[str, Any], watch: Watch
) -> Answered:
    """One completion through a load balancer, asked again for as long as no worker is there.

    Raises:
        CheckFailed: No worker came.
    """
    while True:
        answered = await ask(client, subject, body)
        if not is_cold(answered):
            return answered
        await watch.look()


async def ask(client: httpx.AsyncClient, subject: Subject, body: Mapping[str, Any]) -> Answered:
    """One call of OpenAI's API to an endpoint that is awake."""
    answer = await client.post(f"{subject.openai_url}/chat/completions", json=dict(body))
    return answered_by(answer)


def answered_by(answer: httpx.Response) -> Answered:
    """An answer over HTTP."""
    try:
        told = answer.json()
    except ValueError:
        told = None
    return Answered(status=answer.status_code, told=told, text=answer.text)


def is_cold(answered: Answered) -> bool:
    """Whether a balancer had no worker for the call, so that nothing was begun."""
    if answered.status == _BAD_REQUEST:
        return any(words in answered.text for words in _COLD_WORDS)
    return answered.status in _COLD_STATUSES


async def served_models(client: httpx.AsyncClient, subject: Subject) -> tuple[str, ...]:
    """Under which names a worker that is awake serves; none where it does not tell."""
    answer = await client.get(f"{subject.openai_url}/models")
    try:
        return tuple(str(each["id"]) for each in answer.json()["data"])
    except (ValueError, KeyError, TypeError):
        return ()
