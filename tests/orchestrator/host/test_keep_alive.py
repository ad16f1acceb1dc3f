"""The request that keeps a worker awake."""

import asyncio

import httpx

from orchestrator.host.keep_alive import AGAIN_SECONDS, Business, keep_alive


class Edge(httpx.AsyncBaseTransport):
    """The balancer's edge, in front of one worker: answers a held request when a test says so."""

    def __init__(self, worker: str = "w-1") -> None:
        self.worker = worker
        self.status = 200
        self.body: dict[str, object] | None = None
        self.held: list[httpx.Request] = []
        self.go = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Hold it."""
        self.held.append(request)
        await self.go.wait()
        if self.status == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(self.status, json=self.body or {"worker": self.worker, "runs": 0})

    async def has_held(self, count: int) -> None:
        """Wait until so many requests came."""
        async with asyncio.timeout(10):
            while len(self.held) < count:  # noqa: ASYNC110 - another task's doing
                await asyncio.sleep(0.001)


async def test_it_asks_itself_through_the_edge_only_while_a_run_is_under_way() -> None:
    business, edge = Business(), Edge()
    keeping = asyncio.get_running_loop().create_task(
        keep_alive(
            business,
            origin="http://edge",
            worker="w-1",
            headers={"authorization": "Bearer k"},
            say=print,
            transport=edge,
        )
    )
    await asyncio.sleep(0.01)
    assert edge.held == []
    business.begin("run-1")
    await edge.has_held(1)
    [request] = edge.held
    assert str(request.url) == "http://edge/hold"
    assert (request.headers["x-runpod-worker-id"], request.headers["authorization"]) == ("strict w-1", "Bearer k")
    edge.go.set()
    await edge.has_held(2)
    business.end("run-1")
    await asyncio.sleep(2 * AGAIN_SECONDS)
    count = len(edge.held)
    await asyncio.sleep(2 * AGAIN_SECONDS)
    assert len(edge.held) == count
    keeping.cancel()


async def test_what_goes_wrong_is_said_once_and_tried_again() -> None:
    business, edge, said = Business(), Edge(), list[str]()
    edge.go.set()
    edge.status = 0
    business.begin("run-1")
    keeping = asyncio.get_running_loop().create_task(
        keep_alive(
            business, origin="http://e", worker="w-1", headers={}, say=said.append, transport=edge, retry_seconds=0.001
        )
    )
    await edge.has_held(3)
    edge.status = 404
    await edge.has_held(len(edge.held) + 3)
    edge.status, edge.worker = 200, "w-2"
    await edge.has_held(len(edge.held) + 3)
    edge.body = {"something": "else"}
    await edge.has_held(len(edge.held) + 3)
    keeping.cancel()
    assert [line.partition(";")[0] for line in said] == [
        "keep-alive: http://e/hold failed: ConnectError",
        "keep-alive: http://e/hold answered 404",
        "keep-alive: http://e/hold reached another worker, w-2",
        "keep-alive: http://e/hold answered something else than a worker",
    ]


async def test_business_counts_runs_and_tells_when_there_are_none() -> None:
    business = Business()
    assert await business.idle(0)
    business.begin("a")
    business.begin("b")
    assert (len(business), await business.idle(0.001)) == (2, False)
    waiting = asyncio.get_running_loop().create_task(business.idle(10))
    business.end("a")
    business.end("b")
    assert await waiting
    assert len(business) == 0
