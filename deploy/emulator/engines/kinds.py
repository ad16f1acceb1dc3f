"""Which engine runs behind a worker: decided by its endpoint's image."""

import shlex
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import httpx

from deploy.emulator.engines.child import ChildEngine, Program
from deploy.emulator.engines.generator import Generator, Time
from deploy.emulator.engines.job_taker import JobTaker
from deploy.emulator.engines.speed import speed_of
from deploy.emulator.model.worker import Worker
from deploy.local.ports import HOST

LLAMA = (
    *(sys.executable, "-P", "-m", "deploy.local.engine"),
    *("--model", "{model}", "--port", "{port}", "--slots", "{slots}", "--context", "{context}"),
)
"""The local tiers' engine. -P: a folder named "deploy" where this is started must not be taken for this package."""
LLAMA_SLOTS_MAX = 4
LLAMA_CONTEXT_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCommand:
    """A command to run for every image whose name fits ``pattern`` (``*`` is any text).

    In its words ``{port}``, ``{model}``, ``{slots}`` and ``{context}`` stand for the worker's. One for a queue's
    workers that is given no port takes its jobs itself, as programs on Runpod's SDK do.
    """

    pattern: str
    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "ImageCommand":
        """Read ``PATTERN=COMMAND``.

        Raises:
            ValueError: It has another form.
        """
        pattern, _, command = text.partition("=")
        words = tuple(shlex.split(command))
        if not pattern or not words:
            raise ValueError(f"{text!r} is not PATTERN=COMMAND")
        return cls(pattern=pattern, words=words)


class EngineMaker:
    """Makes each worker's engine: a child process where a command fits its image, else the generator."""

    def __init__(
        self,
        *,
        commands: Sequence[ImageCommand],
        environment: Mapping[str, str],
        clock: Time,
        client: httpx.AsyncClient,
        logs: Path,
        seed: int,
        job_environment: Callable[[str], Mapping[str, str]] = lambda _: {},
    ) -> None:
        """``job_environment`` says where the worker of that id is to ask for jobs."""
        self._commands = tuple(commands)
        self._environment = dict(environment)
        self._clock = clock
        self._client = client
        self._logs = logs
        self._seed = seed
        self._job_environment = job_environment

    def __call__(self, worker: Worker) -> Generator | ChildEngine:
        """The engine of one start of a worker."""
        words = next((c.words for c in self._commands if fnmatchcase(worker.config.image, c.pattern)), None)
        if words is None:
            return Generator(worker.config, speed_of(worker.machine), self._clock, seed=self._seed)
        takes_jobs = worker.config.type == "QUEUE" and not any("{port}" in word for word in words)
        make = JobTaker if takes_jobs else ChildEngine
        return make(self._program(worker, words), self._client, lambda line: worker.say(self._clock.now(), line))

    def _program(self, worker: Worker, words: tuple[str, ...]) -> Program:
        config = worker.config
        port = free_port()
        values = {
            "port": str(port),
            "model": config.served_model,
            "slots": str(min(config.concurrency, LLAMA_SLOTS_MAX)),
            "context": str(min(config.max_model_len, LLAMA_CONTEXT_MAX)),
        }
        balanced = config.type == "LOAD_BALANCER"
        own = {"RUNPOD_POD_ID": worker.id, "RUNPOD_ENDPOINT_ID": worker.endpoint_id}
        if balanced:
            own |= {"PORT": str(port), "PORT_HEALTH": str(port)}
        elif not any("{port}" in word for word in words):
            own |= self._job_environment(worker.id)
        return Program(
            name=f"worker-{worker.id}",
            command=tuple(_filled(word, values) for word in words),
            environment=self._environment | dict(config.env) | own,
            port=port,
            health_path=config.health_path if balanced else "/health",
            log=self._logs / f"worker-{worker.id}.log",
        )


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word
