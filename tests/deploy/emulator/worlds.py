"""Small emulated worlds for tests."""

from typing import Any

from deploy.emulator.model.account import Account
from deploy.emulator.model.config import EndpointConfig, GpuChoice, QueueDelay, RequestCount
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.job import Job, JobStatus
from deploy.emulator.model.worker import Worker, WorkerState
from deploy.emulator.model.world import World

START = 1_800_000_000.0
ACCOUNT = "acct"
KEY = "rpa_test"


def config(**changes: object) -> EndpointConfig:
    """A queue endpoint on a 4090 that scales by queue delay; ``changes`` are fields of it."""
    fields: dict[str, Any] = {
        "name": "routing",
        "type": "QUEUE",
        "image": "runpod/worker-v1-vllm:v2.25.2",
        "scaling": QueueDelay(seconds=4.0),
        "gpu": GpuChoice(pools=("ADA_24",)),
        "env": {"MODEL_NAME": "org/model", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "router"},
    }
    fields.update(changes)
    return EndpointConfig(**fields)


def balanced(**changes: object) -> EndpointConfig:
    """A load-balancing endpoint that can be reached."""
    env = {"PORT": "8000", "PORT_HEALTH": "8000", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "router"}
    fields: dict[str, object] = {
        "type": "LOAD_BALANCER",
        "scaling": RequestCount(requests=4),
        "env": env,
        "ports": ("8000/http",),
    }
    return config(**(fields | changes))


def world(*, seed: int = 1, instant_engines: bool = True, balance_usd: float = 1000.0) -> World:
    """A world with one account."""
    made = World(seed=seed, instant_engines=instant_engines)
    made.add_account(Account(id=ACCOUNT, keys={KEY}, balance_usd=balance_usd))
    return made


def endpoint_in(made: World, settings: EndpointConfig | None = None, now: float = START) -> Endpoint:
    """An endpoint in that world."""
    return made.create_endpoint(ACCOUNT, settings or config(), now)


def state_of(worker: Worker) -> WorkerState:
    """Its state now: a type checker does not know that time changes it."""
    return worker.state


def status_of(job: Job) -> JobStatus:
    """Its status now."""
    return job.status
