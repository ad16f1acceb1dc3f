"""A load-balancing endpoint of Runpod: plain HTTP to whatever worker is awake, and patience while none is.

Facts of Runpod that it goes by:

- Any request wakes a worker, and is kept by the balancer while one comes; after 2 minutes it is answered with HTTP 400
  and one of two bodies. That is no word about the request: it is asked again until its deadline.
- A worker is routed to once its health path (``/ping``) answers 200; 204 means that it still initializes. Between
  a container that runs and a server that listens requests are answered with 502, or cut.
- There is no queue and no retry by the platform. A body may have 30 MB. After 5.5 minutes a request is answered with
  524, whatever is under way, and a stream is cut: an answer that takes longer cannot be had this way.
- Every answer names its worker. Sent back, that name is a wish for the same worker, which has the session in its cache.

What vLLM itself answers, errors included, passes as it is. Nothing is sent again after an answer has begun.
"""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.errors import UpstreamAnswered, UpstreamFailed, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from gateway.exchange import Clock
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.sessions import Sessions
from gateway.upstream.transport import Transport, UpstreamRequest, UpstreamResponse
from gateway.upstream.warmth import Warmth
from gateway.upstream.whole_answer import WholeAnswer
from gateway.wire.header_lines import HeaderLines
from tiers.tiermap import Endpoint

PAYLOAD_BYTES_MAX: Final = 30_000_000
"""What the balancer takes in one request."""
ERROR_BYTES_MAX: Final = 1024 * 1024
WORKER_HEADER: Final = b"x-runpod-worker-id"
_COLD: Final = ("timed out waiting for worker", "no workers available")
_GONE: Final = b"affinity_worker_gone"
_MARGIN: Final = 0.1
"""Of the wait between two tries: what has to be left until a deadline for another one."""
_OK: Final = 200
_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_UNAUTHORIZED: Final = frozenset({401, 403})
_BAD_GATEWAY: Final = 502
_CUT_BY_THE_EDGE: Final = 524


class RunpodLoadBalancer:
    """Fulfils ``Transport`` and ``Waking``."""

    __slots__ = (
        "_clock", "_draw", "_http", "_name", "_pings", "_sessions", "_times", "_warmth",
    )  # fmt: skip

    def __init__(
        self,
        http: Transport,
        *,
        endpoint: Endpoint,
        warmth: Warmth,
        times: RunpodTimes,
        clock: Clock,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """``http`` leads to the endpoint's URL; ``draw`` makes random numbers from 0 to below 1."""
        self._http = http
        self._name = endpoint.name
        self._warmth = warmth
        self._times = times
        self._clock = clock
        self._draw = draw
        self._sessions = Sessions()
        self._pings: set[asyncio.Task[None]] = set()

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a request, again and again while no worker is awake; see ``Transport``.

        Raises:
            UpstreamTimeout: The edge cut it after 5.5 minutes; or its time was over while a worker may have had it.
            UpstreamUnreachable: No worker took it until its deadline.
        """
        journey = request.journey
        if journey is not None:
            journey.way = "balancer"
            journey.cold = not self._warmth.ready
        if len(request.body) > PAYLOAD_BYTES_MAX:
            return _too_large(len(request.body))
        problem = "the balancer kept it waiting"
        while True:
            worker = self._wish(request)
            sent = request if worker is None else _to(worker, request)
            if journey is not None:
                journey.tries += 1
            if self._warmth.ready:
                response = await self._send(sent)
            else:
                begun = await self._send_cold(sent)
                if isinstance(begun, str):
                    problem = begun or problem
                    await self._wait(request, problem)
                    continue
                response = begun
            if response.status == _OK:
                self._remember(request, response)
                return response
            judged = await self._judged(request, response, worker)
            if not isinstance(judged, str):
                return judged
            if judged:
                problem = judged
                await self._wait(request, problem)

    async def wake(self, headers: Sequence[HeaderLines]) -> None:
        """See ``Waking``. A ``GET`` on ``/ping``, which stays open while the worker comes: the balancer counts it.

        Returns as soon as it was answered, or was not refused for some seconds.
        """
        ping = asyncio.get_running_loop().create_task(self._pinged(headers))
        self._pings.add(ping)
        ping.add_done_callback(self._ping_ended)
        await asyncio.wait([ping], timeout=self._times.grace)
        if ping.done():
            ping.result()

    async def aclose(self) -> None:
        """See ``Transport``."""
        for ping in list(self._pings):
            ping.cancel()
        await asyncio.gather(*self._pings, return_exceptions=True)
        await self._http.aclose()

    async def _send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send it where a worker is awake: what fails is for the gateway's course of tries."""
        try:
            return await self._http.send(request)
        except UpstreamFailed:
            self._warmth.failed()
            raise

    async def _send_cold(self, request: UpstreamRequest) -> UpstreamResponse | str:
        """Send it where no worker is awake yet; instead of an answer, why there is none, empty where it only waited.

        Raises:
            UpstreamUnreachable: The endpoint could not be reached at all.
            UpstreamTimeout: Its time is over, and a worker has come.
        """
        warmth = self._warmth
        warmth.called()
        problem = ""
        left = self._left(request)
        try:
            async with asyncio.timeout(None if left == math.inf else max(left, 0.0)):
                return await self._http.send(request)
        except TimeoutError:
            problem = ""
        except UpstreamUnreachable:
            raise
        except UpstreamFailed as error:
            warmth.failed()
            problem = error.message
        if self._left(request) <= 0 and warmth.ready:
            raise UpstreamTimeout(f"The endpoint {self._name} sent no answer before the request's deadline.")
        return problem

    async def _judged(
        self, request: UpstreamRequest, response: UpstreamResponse, worker: bytes | None
    ) -> UpstreamResponse | str:
        """An answer that is not a 200: as it is to be passed on, or why the request is to be sent again, which is empty
        where that is to be at once.

        Raises:
            UpstreamTimeout: The edge cut it.
        """
        status = response.status
        if status == _CUT_BY_THE_EDGE:
            await response.aclose()
            raise UpstreamTimeout(
                f"Runpod's load balancer cut the request at {self._name} (524): it lets none take longer than 5.5"
                " minutes. Ask for a shorter answer, or use a queue endpoint for long ones."
            )
        if status == _BAD_GATEWAY and not self._warmth.ready:
            await response.aclose()
            self._warmth.failed()
            return "it answered 502, as while a worker starts, or where its server listens on another port"
        if status not in {_BAD_REQUEST, _NOT_FOUND}:
            self._remember(request, response)
            return response
        body = await _whole(response)
        if status == _BAD_REQUEST and _says_cold(body):
            self._warmth.asleep()
            return "no worker came within the time that the balancer waits for one"
        if worker is not None and body.find(_GONE) >= 0:
            self._sessions.forget(request.affinity)
            return ""
        self._remember(request, response)
        return WholeAnswer(status=status, headers=response.headers, body=body)

    async def _wait(self, request: UpstreamRequest, problem: str) -> None:
        """Wait until it is time to ask again, or a worker is awake. Raises where the request has no time for it."""
        left = self._left(request)
        if left <= 0:
            raise UpstreamUnreachable(
                f"No worker of the endpoint {self._name} took the request before its deadline: {problem}.",
                retry_after_seconds=self._warmth.retry_after(),
            )
        if self._warmth.ready:
            return
        pause = min(
            self._times.balancer_wait * (1.0 + self._draw()), max(left / 2, self._times.balancer_wait * _MARGIN)
        )
        changed = asyncio.Event()
        self._warmth.listen(changed.set)
        try:
            async with asyncio.timeout(pause):
                while not self._warmth.ready:
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return
        finally:
            self._warmth.unlisten(changed.set)

    def _left(self, request: UpstreamRequest) -> float:
        """How long the request may still be tried, in seconds."""
        return request.due - self._clock.monotonic() - self._times.balancer_wait * _MARGIN

    def _wish(self, request: UpstreamRequest) -> bytes | None:
        """The worker that served this request's session last, unless the caller names one."""
        if request.affinity is None or any(
            name == WORKER_HEADER for each in request.headers for name, _ in each.fields
        ):
            return None
        return self._sessions.of(request.affinity)

    def _remember(self, request: UpstreamRequest, response: UpstreamResponse) -> None:
        """What an answer tells of the worker that gave it; only one of vLLM's own names one."""
        worker = b""
        for name, value in response.headers:
            if name == WORKER_HEADER:
                worker = value
                break
        if worker or response.status == _OK:
            self._warmth.answered()
        if request.journey is not None:
            request.journey.worker = worker.decode("latin-1")
        if worker and request.affinity is not None:
            self._sessions.note(request.affinity, worker)

    async def _pinged(self, headers: Sequence[HeaderLines]) -> None:
        self._warmth.called()
        response = await self._http.send(UpstreamRequest(method=b"GET", path=b"/ping", headers=headers, body=b""))
        body = await _whole(response)
        status = response.status
        if status == _OK:
            self._warmth.answered()
        elif status in _UNAUTHORIZED:
            raise UpstreamRefused(
                f"The endpoint {self._name} refused the gateway's key ({status}). Check its api_key in the tier map."
            )
        elif status == _BAD_REQUEST and _says_cold(body):
            self._warmth.asleep()
        elif status >= 500 and status != _BAD_GATEWAY:  # noqa: PLR2004 - HTTP's own
            raise UpstreamAnswered(f"The endpoint {self._name} answered {status} to a ping.", status=status)

    def _ping_ended(self, ping: "asyncio.Task[None]") -> None:
        self._pings.discard(ping)
        if not ping.cancelled():
            ping.exception()  # who waited has heard it; nobody else has to


async def _whole(response: UpstreamResponse) -> bytes:
    """The body of an error, after which the connection is given back; a broken one is as good as an empty one."""
    body = b""
    ended: asyncio.CancelledError | None = None
    try:
        body = await response.read(ERROR_BYTES_MAX)
    except UpstreamFailed:
        body = b""
    except asyncio.CancelledError as error:  # kept until all is closed: compiled code may not wait in here
        ended = error
    await response.aclose()
    if ended is not None:
        raise ended
    return body


def _says_cold(body: bytes) -> bool:
    """Whether a 400 is the balancer's word that no worker came. A caller's text inside vLLM's errors is none."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if not isinstance(told, dict):
        return False
    words = [told.get("detail"), told.get("error")]
    return any(isinstance(each, str) and each.lower().startswith(_COLD) for each in words)


def _to(worker: bytes, request: UpstreamRequest) -> UpstreamRequest:
    """The same request with the wish for a worker, in its soft form: another serves where that one is busy or gone."""
    return UpstreamRequest(
        method=request.method,
        path=request.path,
        headers=(*request.headers, HeaderLines([(WORKER_HEADER, worker)])),
        body=request.body,
        due=request.due,
        journey=request.journey,
        affinity=request.affinity,
    )


def _too_large(size: int) -> WholeAnswer:
    message = (
        f"The request has {size} bytes. Runpod's load balancers take {PAYLOAD_BYTES_MAX} at most, so it was not sent."
    )
    told = {"message": message, "type": "invalid_request_error", "param": None, "code": "body_too_large"}
    return WholeAnswer(
        status=413, headers=((b"content-type", b"application/json"),), body=msgspec.json.encode({"error": told})
    )
