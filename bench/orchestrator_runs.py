"""Many runs at once in one worker of the orchestrator: memory per run, and how late its event loops are.

    .venv-orchestrator/bin/python bench/orchestrator_runs.py --runs 200

The worker is ``tiergate-orchestrator serve`` as a process; the upstream is in this one and answers each call after
``--call-seconds``. All runs are asked for at once and waited for; then the same again, when the worker's threads and
pools are there already. A Flow has three steps: ``async`` (each awaits a call), ``agent`` (each is a crew of one agent,
whose call blocks a thread), ``tool`` (each blocks a thread for as long as a call takes, without a call).
"""

import argparse
import asyncio
import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
STEPS = 3
PING_SECONDS = 0.05

FLOW = """
import asyncio
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start
from orchestrator.identity import current_identity
from orchestrator.llm import tier
from pydantic import BaseModel

CALL_SECONDS = {call_seconds}

class State(BaseModel):
    mine: str = ""
    calls: int = 0

async def work_async(flow):
    await tier("routing").acall("Hello?")
    flow.note()

async def work_agent(flow):
    agent = Agent(role="clerk", goal="answer", backstory="none", llm=tier("routing"), max_iter=1, max_retry_limit=0)
    task = Task(description="Answer.", expected_output="an answer", agent=agent)
    await Crew(agents=[agent], tasks=[task]).akickoff()
    flow.note()

async def work_tool(flow):
    await asyncio.to_thread(__import__("time").sleep, CALL_SECONDS)
    flow.note()

class Bench(Flow[State]):
    _skip_auto_memory = True

    def note(self):
        if current_identity().run != self.state.mine:
            raise RuntimeError("this is the state of another run")
        self.state.calls += 1

    @start()
    async def first(self):
        await work_{kind}(self)

    @listen(first)
    async def second(self):
        await work_{kind}(self)

    @listen(second)
    async def third(self):
        await work_{kind}(self)
        return self.state.calls
"""


@asynccontextmanager
async def upstream(call_seconds: float) -> AsyncIterator[tuple[str, list[str]]]:
    """An OpenAI server that answers every call after so long; yields its URL and the runs that called."""
    called: list[str] = []
    choice = {"index": 0, "message": {"role": "assistant", "content": "Final Answer: fine"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    completion = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    answers = {True: json.dumps({**completion, "usage": usage}).encode(), False: b'{"object": "list", "data": []}'}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = re.search(r"content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                run = re.search(r"x-tiergate-run: (\S+)", head)
                if run:
                    called.append(run[1])
                    await asyncio.sleep(call_seconds)
                body = answers[run is not None]
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", called


@contextmanager
def flow_file(kind: str, call_seconds: float) -> Iterator[Path]:
    """A folder with the Flow, which is also where the worker runs."""
    with tempfile.TemporaryDirectory(prefix="tiergate-bench-") as folder:
        text = FLOW.replace("{kind}", kind).replace("{call_seconds}", str(call_seconds))
        (Path(folder) / "bench_flow.py").write_text(text)
        yield Path(folder)


@asynccontextmanager
async def run_store(kind: str, folder: Path) -> AsyncIterator[str]:
    """Where runs are kept: a directory, or a redis-server as a process."""
    if kind == "directory":
        yield str(folder / "runs")
        return
    place = folder / "store.sock"
    words = ("--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(folder))
    process = await asyncio.create_subprocess_exec("redis-server", *words, stdout=-3)
    try:
        async with asyncio.timeout(10):
            while not place.exists():  # noqa: ASYNC110 - another process' condition
                await asyncio.sleep(0.01)
        yield f"unix://{place}"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def worker(folder: Path, url: str, runs: int, store: str) -> AsyncIterator[tuple[int, int]]:
    """The server as a process; yields its id and port once it serves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "TIERGATE_URL": url,
        "TIERGATE_KEY": "sk-bench",
        "HOME": str(folder),
        "TIERGATE_RUNS": store,
    }
    words = ("-m", "orchestrator", "serve", "bench_flow.py:Bench", "--port", str(port), "--runs-max", str(runs))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=folder, env=environment, stderr=(folder / "log").open("wb")
    )
    try:
        async with asyncio.timeout(120):
            while not await serves(port):  # noqa: ASYNC110 - another process' condition
                await asyncio.sleep(0.1)
        yield process.pid, port
    finally:
        process.kill()
        await process.wait()


async def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request on a connection of its own, in as few instructions as can be: the driver is not to be measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read(-1)
    finally:
        writer.close()
    head_bytes, _, content = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), content


async def serves(port: int) -> bool:
    """Whether the worker takes runs."""
    try:
        return (await ask(port, "GET", "/ping"))[0] == HTTPStatus.OK
    except OSError:
        return False


def memory_mb(process: int) -> float:
    """What it holds of memory now."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def cpu_seconds(process: int) -> float:
    """What it has used of processors."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def buckets(text: str, series: str, labels: str) -> dict[float, float]:
    """A histogram's counts up to each bound."""
    rows = re.findall(rf"^{series}_bucket{{(.*)}} (\S+)$", text, re.MULTILINE)
    return {
        float(labelled.partition('le="')[2].partition('"')[0]): float(count)
        for labelled, count in rows
        if labels in labelled
    }


def quantile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """The least bound of a histogram under which so large a share of what came between lies."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    whole = counts[float("inf")]
    return min((bound for bound, count in counts.items() if count >= share * whole), default=float("inf"))


async def batch(port: int, process: int, runs: int, number: int) -> dict[str, object]:
    """Ask for all runs at once, wait for all; what that took."""
    series = (await ask(port, "GET", "/metrics"))[1].decode()
    memory, cpu, began = memory_mb(process), cpu_seconds(process), asyncio.get_running_loop().time()
    peaks, pings, at_once = [memory], list[float](), [0]

    async def watch() -> None:
        clock = asyncio.get_running_loop().time
        while True:
            asked = clock()
            _, answer = await ask(port, "GET", "/ping")
            pings.append(clock() - asked)
            at_once.append(json.loads(answer)["runs"])
            peaks.append(memory_mb(process))
            await asyncio.sleep(PING_SECONDS)

    async def one(name: str) -> tuple[str, object]:
        body = json.dumps({"run": name, "inputs": {"mine": name}}).encode()
        document = json.loads((await ask(port, "POST", "/flows/Bench", body))[1])
        return document.get("status", document), document.get("output")

    watching = asyncio.get_running_loop().create_task(watch())
    ends = await asyncio.gather(*(one(f"batch-{number}-{each}") for each in range(runs)))
    watching.cancel()
    seconds = asyncio.get_running_loop().time() - began
    after = (await ask(port, "GET", "/metrics"))[1].decode()
    lag = {
        loop: quantile(
            buckets(series, "tiergate_event_loop_lag_seconds", f'loop="{loop}"'),
            buckets(after, "tiergate_event_loop_lag_seconds", f'loop="{loop}"'),
            0.99,
        )
        for loop in ("server", "flows")
    }
    wait = quantile(
        buckets(series, "tiergate_executor_wait_seconds", ""),
        buckets(after, "tiergate_executor_wait_seconds", ""),
        0.99,
    )
    return {
        "runs_well_ended": sum(end == ("succeeded", STEPS) for end in ends),
        "runs_at_once_max": max(at_once),
        "seconds": round(seconds, 2),
        "cpu_ms_per_run": round((cpu_seconds(process) - cpu) / runs * 1000, 1),
        "memory_before_mb": round(memory, 1),
        "memory_mb_per_run": round((max(peaks) - memory) / runs, 3),
        "lag_p99_under_seconds": lag,
        "executor_wait_p99_under_seconds": wait,
        "ping_ms_median": round(median(pings) * 1000, 1),
        "ping_ms_max": round(max(pings) * 1000, 1),
    }


async def measure(kind: str, runs: int, call_seconds: float, batches: int, store: str) -> dict[str, object]:
    """All batches of one kind of Flow in a fresh worker."""
    with flow_file(kind, call_seconds) as folder:
        async with (
            upstream(call_seconds) as (url, called),
            run_store(store, folder) as place,
            worker(folder, url, runs, place) as (process, port),
        ):
            done = [await batch(port, process, runs, number) for number in range(batches)]
            calls = {name: called.count(name) for name in set(called)}
    return {
        "kind": kind,
        "store": store,
        "runs": runs,
        "call_seconds": call_seconds,
        "calls_per_run": sorted(set(calls.values())),
        "batches": done,
    }


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--kind", choices=("async", "agent", "tool"), action="append")
    parser.add_argument("--call-seconds", type=float, default=2.0)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--store", choices=("redis", "directory"), default="redis")
    given = parser.parse_args()
    kinds = given.kind or ["async", "agent", "tool"]
    found = [asyncio.run(measure(kind, given.runs, given.call_seconds, given.batches, given.store)) for kind in kinds]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
