"""What a Flow on tiers that scale to zero waits for: straight to the endpoints, through Tiergate, with announcements.

    .venv/bin/python bench/warming_ahead.py --out bench/results/warming/DATE.json

Five steps take turns on two tiers, one emulated endpoint of Runpod's each, which loads for ``--load`` seconds from
cold and sleeps after ``--idle`` seconds without work. Before each run all workers have gone to sleep. ``sdk`` is the
OpenAI SDK on the endpoints' own OpenAI routes, ``tiergate`` the tiers of a gateway with steps that say that they need
none (``@tiers()``), ``announced`` the same with steps that say what they need. The ways take turns, round by round.
Emulator, gateway and the worker that hosts the Flows are processes; all clocks are real ones. A call counts as one
that waited for a cold start where it took longer than half a load.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Literal

import httpx

ROOT = Path(__file__).resolve().parents[1]
MODEL, KEY = "router", "tg-bench-0c1d2e3f"
RUNPOD_KEY = "rpa_emulator"
TIERS = ("routing", "reasoning")
WAYS = {"sdk": "Straight", "tiergate": "Silent", "announced": "Announced"}
"""Each with its Flow."""
START_SECONDS = 120.0
RUN_SECONDS = 280.0
ANSWER_TOKENS = 48
Kind = Literal["queue", "load-balancer"]

FLOWS = """
import time
from functools import lru_cache

from crewai.flow.flow import Flow, listen, start
from openai import AsyncOpenAI
from pydantic import BaseModel

from orchestrator import tier, tiers

ENDPOINTS = {endpoints}


class Calls(BaseModel):
    seconds: list[float] = []


@lru_cache
def client(name):
    return AsyncOpenAI(base_url=ENDPOINTS[name], api_key="{key}")


async def straight(flow, name):
    began = time.monotonic()
    messages = [{"role": "user", "content": "Hello?"}]
    await client(name).chat.completions.create(model="{model}", messages=messages, max_tokens={tokens})
    flow.state.seconds.append(round(time.monotonic() - began, 2))


async def through(flow, name):
    began = time.monotonic()
    await tier(name, max_tokens={tokens}).acall("Hello?")
    flow.state.seconds.append(round(time.monotonic() - began, 2))
"""
FLOW = """

class {name}(Flow[Calls]):
    _skip_auto_memory = True

    @start()
    @tiers({routing})
    async def classify(self):
        await {ask}(self, "routing")

    @listen(classify)
    @tiers({reasoning})
    async def plan(self):
        await {ask}(self, "reasoning")

    @listen(plan)
    @tiers({routing})
    async def gather(self):
        await {ask}(self, "routing")

    @listen(gather)
    @tiers({reasoning})
    async def write(self):
        await {ask}(self, "reasoning")

    @listen(write)
    @tiers({routing})
    async def check(self):
        await {ask}(self, "routing")
        return self.state.seconds
"""


def flows(runpod: "Emulator") -> str:
    """The three Flows, as a module."""
    endpoints = {name: runpod.openai_url(name) for name in TIERS}
    text = filled(FLOWS, endpoints=json.dumps(endpoints), key=RUNPOD_KEY, model=MODEL, tokens=str(ANSWER_TOKENS))
    text += filled(FLOW, name="Straight", ask="straight", routing="", reasoning="")
    text += filled(FLOW, name="Silent", ask="through", routing="", reasoning="")
    return text + filled(FLOW, name="Announced", ask="through", routing='"routing"', reasoning='"reasoning"')


def filled(text: str, **values: str) -> str:
    """The text with the values in their places."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


class Emulator:
    """The emulated Runpod, with one endpoint for each tier."""

    def __init__(self, origin: str, kind: Kind, *, load: float, idle: int) -> None:
        self._client = httpx.Client(base_url=origin, headers={"authorization": f"Bearer {RUNPOD_KEY}"}, timeout=30)
        self.origin, self.kind = origin, kind
        self.ids = {name: self._made(name, load, idle) for name in TIERS}

    def url(self, name: str) -> str:
        """What a tier map says of it."""
        id_ = self.ids[name]
        return f"{self.origin}/v2/{id_}" if self.kind == "queue" else f"{self.origin}/lb/{id_}/v1"

    def openai_url(self, name: str) -> str:
        """Where an OpenAI client finds it."""
        return self.url(name) + ("/openai/v1" if self.kind == "queue" else "")

    def billed_seconds(self) -> float:
        """Worker seconds of all endpoints so far."""
        return sum(float(each["billedSeconds"]) for each in self._endpoints())

    def asleep(self, seconds_max: float = 120.0) -> None:
        """Return when no worker is billed any more."""
        ends_at = time.monotonic() + seconds_max
        while any(worker["state"].upper() in {"RUNNING", "INITIALIZING"} for worker in self._workers()):
            if time.monotonic() > ends_at:
                raise SystemExit(f"the workers do not fall asleep: {self._workers()}")
            time.sleep(0.2)

    def _made(self, name: str, load: float, idle: int) -> str:
        env = {"OPENAI_SERVED_MODEL_NAME_OVERRIDE": MODEL, "MODEL_NAME": MODEL, "MAX_MODEL_LEN": "4096"}
        body: dict[str, Any] = {"name": name, "image": "runpod/worker-v1-vllm:v2.25.2", "gpu": {"pools": ["ADA_24"]}}
        body |= {"workers": {"min": 0, "max": 1, "idleTimeout": idle}, "flashboot": "OFF"}
        if self.kind == "queue":
            body |= {"type": "QUEUE", "scaling": {"type": "QUEUE_DELAY", "queueDelay": 1}, "env": env}
        else:
            env |= {"PORT": "8000", "PORT_HEALTH": "8000"}
            scaling = {"type": "REQUEST_COUNT", "requestCount": 30}
            body |= {"type": "LOAD_BALANCER", "scaling": scaling, "ports": ["8000/http"], "env": env}
        id_ = self._call("POST", "/v2/serverless", body)["id"]
        self._call("PATCH", f"/emulator/endpoints/{id_}/faults", {"pullSeconds": 0, "loadSeconds": load})
        return str(id_)

    def _endpoints(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self._call("GET", "/emulator/state")["endpoints"]
        return found

    def _workers(self) -> list[Mapping[str, Any]]:
        return [worker for endpoint in self._endpoints() for worker in endpoint["workers"]]

    def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        return self._client.request(method, path, json=body).raise_for_status().json()


@contextmanager
def program(words: list[str], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A process, stopped at the end."""
    with log.open("ab") as said:
        process = subprocess.Popen(words, cwd=ROOT, stdout=said, stderr=said, env={**os.environ, **(environment or {})})
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def emulator(python: str, folder: Path, kind: Kind, *, load: float, idle: int) -> Iterator[Emulator]:
    """A process of its own, at the speed of the real clock."""
    log = folder / "emulator.log"
    words = [python, "-m", "deploy", "emulate", "--port", "0", "--speed", "1", "--seed", "7"]
    with program([*words, "--state-directory", str(folder / "emulator")], log):
        origin = until(lambda: re.search(r"(http://127\.0\.0\.1:\d+)/v2/serverless", log.read_text()))
        yield Emulator(origin[1], kind, load=load, idle=idle)


@contextmanager
def gateway(python: str, folder: Path, runpod: Emulator, *, idle: int) -> Iterator[str]:
    """A process of its own, with an embedded store; yields its address."""
    port = free_port()
    described = {
        name: {
            "model": MODEL,
            "endpoints": [
                {
                    "url": runpod.url(name),
                    "transport": f"runpod-{runpod.kind}",
                    "api_key": "env:BENCH_RUNPOD_KEY",
                    "workers": {"max": 1, "slots": 30, "idle_timeout": f"{idle}s"},
                }
            ],
            "price": {"input": 1, "output": 2},
            "context": 4096,
            "slots": 30,
            "timeouts": {"total": "120s"},
        }
        for name in TIERS
    }
    map_file = folder / "tiers.yaml"
    keys = [{"name": "bench", "key": "env:BENCH_KEY"}]
    map_file.write_text(json.dumps({"version": 1, "store": "embedded", "tiers": described, "keys": keys}))
    words = [python, "-m", "gateway", "serve", "--tiers", str(map_file), "--host", "127.0.0.1", "--port", str(port)]
    secrets = {"BENCH_RUNPOD_KEY": RUNPOD_KEY, "BENCH_KEY": KEY}
    with program([*words, "--state-directory", str(folder / "gateway")], folder / "gateway.log", secrets):
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def worker(python: str, folder: Path, url: str, runpod: Emulator) -> Iterator[httpx.Client]:
    """The Flows' host as a process; yields a client of it."""
    (folder / "warming_flows.py").write_text(flows(runpod))
    port = free_port()
    targets = [f"{folder / 'warming_flows.py'}:{flow}" for flow in WAYS.values()]
    environment = {"TIERGATE_URL": url, "TIERGATE_KEY": KEY, "TIERGATE_RUNS": str(folder / "runs"), "HOME": str(folder)}
    words = [python, "-m", "orchestrator", "serve", *targets, "--port", str(port)]
    origin = f"http://127.0.0.1:{port}"
    with (
        program(words, folder / "worker.log", environment),
        httpx.Client(base_url=origin, timeout=RUN_SECONDS) as client,
    ):
        until(lambda: answers(f"{origin}/ping"))
        yield client


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Whether it says 200."""
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def until(found: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is looked for
    """What ``found`` gives, once it gives something."""
    ends_at = time.monotonic() + START_SECONDS
    while not (value := found()):
        if time.monotonic() > ends_at:
            raise SystemExit("a process did not start in time")
        time.sleep(0.05)
    return value


def one(way: str, number: int, runpod: Emulator, client: httpx.Client, *, load: float) -> dict[str, Any]:
    """One run from cold; what it took."""
    billed, began = runpod.billed_seconds(), time.monotonic()
    answer = client.post(f"/flows/{WAYS[way]}", json={"run": f"{way}-{number}", "inputs": {}})
    seconds, document = time.monotonic() - began, answer.json()
    ended_well = document.get("status") == "succeeded"
    calls: list[float] = document["output"] if ended_well else []
    runpod.asleep()
    return {
        "way": way,
        "seconds": round(seconds, 2),
        "call_seconds": calls,
        "cold_starts_waited_for": sum(each > load / 2 for each in calls),
        "billed_worker_seconds": round(runpod.billed_seconds() - billed, 1),
        "failed": "" if ended_well else answer.text,
    }


def measure(runpod: Emulator, client: httpx.Client, *, load: float, pause: float, rounds: int) -> dict[str, Any]:
    """All rounds of all ways."""
    runs = list[dict[str, Any]]()
    for number in range(rounds):
        for way in WAYS:
            runpod.asleep()
            time.sleep(pause)
            runs.append(one(way, number, runpod, client, load=load))
            print(f"  {runpod.kind} {json.dumps(runs[-1])}", file=sys.stderr, flush=True)
    return {"transport": f"runpod-{runpod.kind}", "ways": {way: of(way, runs) for way in WAYS}, "runs": runs}


def of(way: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the runs of one way took."""
    own = [run for run in runs if run["way"] == way]
    return {
        "runs": len(own),
        "failed": sum(bool(run["failed"]) for run in own),
        "seconds_median": round(median(run["seconds"] for run in own), 2),
        "seconds_least_and_most": [min(run["seconds"] for run in own), max(run["seconds"] for run in own)],
        "cold_starts_waited_for_most": max(run["cold_starts_waited_for"] for run in own),
        "billed_worker_seconds_median": round(median(run["billed_worker_seconds"] for run in own), 1),
    }


def measured(given: argparse.Namespace, kind: Kind, idle: int) -> dict[str, Any]:
    """All rounds on endpoints of one type and idle time-out, with processes of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="tiergate-bench-") as name,
        emulator(given.gateway_python, Path(name), kind, load=given.load, idle=idle) as runpod,
        gateway(given.gateway_python, Path(name), runpod, idle=idle) as url,
        worker(given.flows_python, Path(name), url, runpod) as client,
    ):
        found = measure(runpod, client, load=given.load, pause=given.pause, rounds=given.rounds)
    return {"idle_seconds": idle, **found}


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway-python", default=str(ROOT / ".venv/bin/python"))
    parser.add_argument("--flows-python", default=str(ROOT / ".venv-orchestrator/bin/python"))
    parser.add_argument("--kind", choices=("queue", "load-balancer"), action="append")
    parser.add_argument("--load", type=float, default=8.0)
    parser.add_argument("--idle", type=int, action="append")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds after the last worker fell asleep")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = [
        measured(given, kind, idle)
        for idle in given.idle or [5, 15]
        for kind in given.kind or ["queue", "load-balancer"]
    ]
    told = {"load_seconds": given.load, "pause_seconds": given.pause, "measured": found}
    text = json.dumps(told, indent=2)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
