"""Runs in Redis or Valkey, for several workers. Each change of a run is one script; the clock is the store's.

All that belongs to one run has its name as hash tag, so it lies in one slot of a cluster. Three keys are for all runs:
their names by age, those of running ones by the end of their lease, and each idempotency key's. They are written
before the run itself and believed only as far as the run agrees: a worker that dies between the two leaves nothing
wrong behind.
"""

import hashlib
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, Final
from uuid import uuid4

from pydantic import JsonValue
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from orchestrator.errors import OwnershipLost, RunConflict, StoreUnavailable
from orchestrator.runs.cancellable import make_cancellable
from orchestrator.runs.records import first_record, json_text, run_from, run_record, step_from, step_text
from orchestrator.runs.run import Event, NewRun, Question, Run, RunState, Step
from orchestrator.runs.store import Ending, Ownership

RETENTION_SECONDS: Final = 7 * 86_400.0
"""How long a run that ended is kept."""

CONNECT_SECONDS_MAX: Final = 5.0
ANSWER_SECONDS_MAX: Final = 10.0
CONNECTIONS_MAX: Final = 64
"""Connections of one store object; more commands at once wait for one of them."""

WAITING_MAX: Final = 1_000
"""Readers that wait for events at once, each on a connection of its own."""

EVENTS_AT_ONCE_MAX: Final = 1_000
"""Events of one answer; who wants more asks again."""

LISTED_MAX: Final = 10_000
"""Runs that are looked at for one list."""

CONNECTION_OPTIONS: Final[Mapping[str, Any]] = {
    "timeout": ANSWER_SECONDS_MAX,
    "protocol": 2,
    "socket_connect_timeout": CONNECT_SECONDS_MAX,
    "socket_timeout": ANSWER_SECONDS_MAX,
    "health_check_interval": 30,
}
"""What every pool of connections to the store is made with."""

_BLOCK_SECONDS = 5.0
_PAGE = 100
_JSON_FIELDS = frozenset({"inputs", "bounds", "output", "final_state", "problem", "question", "usage"})


class RedisRunStore:
    """Fulfils ``RunStore``. It works on the event loop on which it is first used; ``close`` it there."""

    def __init__(
        self,
        client: Redis,
        *,
        waiting: Redis | None = None,
        where: str = "the store of runs",
        prefix: str = "tiergate:",
        retention_seconds: float = RETENTION_SECONDS,
    ) -> None:
        """Keep runs behind ``client``, which speaks RESP2 and decodes answers; ``where`` is its name in messages.

        Who waits for events does so through ``waiting``, since each holds a connection meanwhile.
        """
        self._client: Any = client  # redis-py's types of answers differ from version to version
        self._waiting: Any = waiting or client
        self._where = where
        self._prefix = prefix
        self._retention = math.ceil(retention_seconds)
        self._scripts: dict[str, AsyncScript] = {}

    @classmethod
    def from_url(cls, url: str, *, retention_seconds: float = RETENTION_SECONDS) -> "RedisRunStore":
        """At ``redis://``, ``rediss://`` or ``unix://``; connects when it is first used."""
        client, waiting = (_client(url, connections_max=each) for each in (CONNECTIONS_MAX, WAITING_MAX))
        where = f"the store of runs at {address_of(client.connection_pool)}"
        return cls(client, waiting=waiting, where=where, retention_seconds=retention_seconds)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()
        await self._waiting.aclose()

    async def add(self, new: NewRun) -> tuple[Run, bool]:
        """As ``RunStore``."""
        name = await self._name_for(new)
        fields = {**_hash_of(first_record(new, created_unix=0.0)), "name": name, "key": new.idempotency_key}
        async with self._answering():
            await self._client.zadd(self._runs, {name: await self._now()}, nx=True)
        added = bool(await self._run("add", name, *(part for field in fields.items() for part in field)))
        async with self._answering():
            record = await self._client.hgetall(self._key(name))
        run = _run_of(record)
        if run is None or not (added or (new.idempotency_key and record["key"] == new.idempotency_key)):
            async with self._answering():
                await self._client.delete(self._idempotency(new.idempotency_key))
            raise RunConflict(f"There is a run named {name!r} already. Give another name, or none.")
        return run, added

    async def run(self, name: str) -> Run | None:
        """As ``RunStore``."""
        async with self._answering():
            fields = await self._client.hgetall(self._key(name))
        return _run_of(fields)

    async def runs(
        self, *, flow: str = "", states: Sequence[RunState] = (), before_unix: float = 0.0, limit: int = 50
    ) -> Sequence[Run]:
        """As ``RunStore``; looks at ``LISTED_MAX`` runs at most."""
        found: list[Run] = []
        newest = f"({before_unix}" if before_unix else "+inf"
        for start in range(0, LISTED_MAX, _PAGE):
            async with self._answering():
                names = await self._client.zrange(
                    self._runs, newest, "-inf", desc=True, byscore=True, offset=start, num=_PAGE
                )
                pipeline = self._client.pipeline(transaction=False)
                for name in names:
                    pipeline.hgetall(self._key(name))
                records = await pipeline.execute()
            found += [
                run
                for run in map(_run_of, records)
                if run is not None
                and flow in {"", run.flow}
                and (not states or run.state in states)
                and (not before_unix or run.created_unix < before_unix)
            ]
            await self._unlist([name for name, record in zip(names, records, strict=True) if not record])
            if len(found) >= limit or len(names) < _PAGE:
                break
        return found[:limit]

    async def own(self, name: str, *, owner: str, lease_seconds: float) -> Ownership | None:
        """As ``RunStore``."""
        async with self._answering():
            await self._client.zadd(self._leases, {name: await self._now() + lease_seconds})
        fence = await self._run("own", name, owner, lease_seconds, uuid4().hex)
        return None if fence is None else Ownership(name=name, owner=owner, fence=int(fence))

    async def renew(self, ownership: Ownership, *, lease_seconds: float) -> bool:
        """As ``RunStore``."""
        wanted = int(await self._run("renew", ownership.name, ownership.fence, lease_seconds))
        if wanted < 0:
            raise _lost(ownership)
        return bool(wanted)

    async def let_go(self, ownership: Ownership) -> None:
        """As ``RunStore``."""
        await self._run("let_go", ownership.name, ownership.fence, self._retention)

    async def steps(self, name: str) -> Sequence[Step]:
        """As ``RunStore``."""
        async with self._answering():
            texts: Sequence[str] = await self._client.lrange(self._key(name, "steps"), 0, -1)
        return [step_from(text) for text in texts]

    async def keep_step(self, ownership: Ownership, step: Step) -> None:
        """As ``RunStore``."""
        await self._write("keep_step", ownership, step.key, step_text(step))

    async def tell(self, ownership: Ownership, type_: str, data: dict[str, JsonValue]) -> None:
        """As ``RunStore``. Where an answer is lost on the way, the event may be there twice."""
        await self._write("tell", ownership, type_, json_text(data))

    async def events(self, name: str, *, after: int = 0, wait_seconds: float = 0.0) -> Sequence[Event]:
        """As ``RunStore``; ``EVENTS_AT_ONCE_MAX`` at once. Waiting holds a connection of its own."""
        stream, left = {self._key(name, "events"): f"{after}-0"}, wait_seconds
        async with self._answering():
            answer = await self._client.xread(stream, count=EVENTS_AT_ONCE_MAX)
            while not answer and left > 0:
                block = min(left, _BLOCK_SECONDS)
                answer = await self._waiting.xread(
                    stream,
                    count=EVENTS_AT_ONCE_MAX,
                    block=max(1, round(block * 1000)),
                )
                left -= block
        entries = [entry for _stream, found in answer for entry in found]
        return [
            Event(
                number=int(entry_id.partition("-")[0]),
                type=fields["type"],
                unix=float(fields["unix"]),
                data=json.loads(fields["data"]),
            )
            for entry_id, fields in entries
        ]

    async def ask(self, ownership: Ownership, question: Question) -> None:
        """As ``RunStore``."""
        record = {
            "step": question.step,
            "message": question.message,
            "output": question.output,
            "outcomes": list(question.outcomes),
        }
        await self._write("ask", ownership, json_text(record), self._retention)

    async def answer(self, name: str, feedback: str) -> bool:
        """As ``RunStore``."""
        return bool(await self._run("answer", name, feedback))

    async def feedback(self, name: str) -> Mapping[str, str]:
        """As ``RunStore``."""
        async with self._answering():
            answers: Mapping[str, str] = await self._client.hgetall(self._key(name, "answers"))
        return answers

    async def end(self, ownership: Ownership, ending: Ending) -> None:
        """As ``RunStore``."""
        problem = ending.problem
        fields = {
            "output": ending.output,
            "final_state": ending.final_state or {},
            "usage": ending.usage or {},
            "problem": problem and {"type": problem.type, "message": problem.message, "step": problem.step},
        }
        values = [part for name, value in fields.items() for part in (name, json_text(value))]
        await self._write("finish", ownership, ending.state.value, self._retention, *values)
        async with self._answering():
            await self._client.zrem(self._leases, ownership.name)

    async def cancel(self, name: str) -> bool:
        """As ``RunStore``."""
        return bool(await self._run("cancel", name, self._retention))

    async def resume(self, name: str, *, code: str = "") -> bool:
        """As ``RunStore``."""
        return bool(await self._run("resume", name, code))

    async def lapsed(self) -> Sequence[str]:
        """As ``RunStore``."""
        async with self._answering():
            now = await self._now()
            names = await self._client.zrange(self._leases, "-inf", str(now), byscore=True, offset=0, num=LISTED_MAX)
            pipeline = self._client.pipeline(transaction=False)
            for name in names:
                pipeline.hmget(self._key(name), "state", "lease_until")
            answers = await pipeline.execute()
            found = []
            for name, (state, lease_until) in zip(names, answers, strict=True):
                if state == RunState.RUNNING and float(lease_until) <= now:
                    found.append(name)
                elif state == RunState.RUNNING:
                    await self._client.zadd(self._leases, {name: float(lease_until)})
                else:
                    await self._client.zrem(self._leases, name)
        return found

    async def forget(self, *, before_unix: float) -> int:
        """As ``RunStore``."""
        async with self._answering():
            names = await self._client.zrange(self._runs, "-inf", f"({before_unix}", byscore=True, offset=0, num=-1)
        forgotten = [name for name in names if await self._run("forget", name, before_unix)]
        await self._unlist(forgotten)
        return len(forgotten)

    @property
    def _runs(self) -> str:
        return f"{self._prefix}runs"

    @property
    def _leases(self) -> str:
        return f"{self._prefix}runs:leases"

    def _key(self, name: str, part: str = "") -> str:
        return f"{self._prefix}run:{{{name}}}" + (f":{part}" if part else "")

    def _idempotency(self, key: str) -> str:
        return f"{self._prefix}runs:key:{hashlib.sha256(key.encode()).hexdigest()}"

    async def _name_for(self, new: NewRun) -> str:
        """The name that the idempotency key got when it was first used; the key is forgotten with the run."""
        if not new.idempotency_key:
            return new.name
        key = self._idempotency(new.idempotency_key)
        mine = json_text([new.name, new.request])
        async with self._answering():
            used = await self._client.set(key, mine, nx=True, get=True, ex=self._retention)
        name, request = json.loads(used or mine)
        if request != new.request:
            raise RunConflict("The idempotency key was used with another request. Use a new key for a new request.")
        return str(name)

    async def _unlist(self, names: Sequence[str]) -> None:
        if names:
            async with self._answering():
                await self._client.zrem(self._runs, *names)

    async def _now(self) -> float:
        seconds, microseconds = await self._client.time()
        return int(seconds) + int(microseconds) / 1_000_000

    async def _write(self, verb: str, ownership: Ownership, *arguments: str | float) -> None:
        if not await self._run(verb, ownership.name, ownership.fence, *arguments):
            raise _lost(ownership)

    async def _run(self, verb: str, name: str, *arguments: str | float) -> Any:  # noqa: ANN401 - the script's answer
        if verb not in self._scripts:
            folder = resources.files("orchestrator.runs").joinpath("scripts")
            text = "".join(folder.joinpath(f"{each}.lua").read_text(encoding="utf-8") for each in ("layout", verb))
            self._scripts[verb] = self._client.register_script(text)
        keys = [self._key(name), *(self._key(name, part) for part in ("steps", "kept", "events", "answers"))]
        async with self._answering():
            return await self._scripts[verb](keys=keys, args=arguments)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            # The error's own text is left out: it may quote what was sent, a password among it.
            raise StoreUnavailable(f"{self._where} does not answer as it should: {type(error).__name__}.") from error


def address_of(pool: ConnectionPool) -> str:
    """Where these connections lead, for messages: without a password."""
    place = pool.connection_kwargs
    return str(place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}")


def _client(url: str, *, connections_max: int) -> Redis:
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections_max,
        decode_responses=True,
        **CONNECTION_OPTIONS,
    )
    make_cancellable(pool)
    return Redis.from_pool(pool)


def _hash_of(run: Run) -> dict[str, str]:
    return {
        name: json_text(value) if name in _JSON_FIELDS else str(value if value is not False else 0)
        for name, value in run_record(run).items()
    }


def _run_of(fields: Mapping[str, str]) -> Run | None:
    if not fields:
        return None
    return run_from({name: json.loads(value) if name in _JSON_FIELDS else value for name, value in fields.items()})


def _lost(ownership: Ownership) -> OwnershipLost:
    return OwnershipLost(f"{ownership.owner} does not own the run {ownership.name!r} any more.")
