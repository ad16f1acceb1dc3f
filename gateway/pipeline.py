"""A request's way, written once.

    authenticate   whose key it is                              → exchange.caller
    (read)         the body, and what routing must know of it   → exchange.call
    route          which tiers may serve it, in order           → exchange.candidates
    then, until an answer begins, for one try after the other as ``gateway.course`` says:
      (choose)     an endpoint that may be asked
      (hold)       where its workers sleep: until one is awake
      admit        a slot, and the worst case held on budgets   → exchange.attempts
      forward      to that endpoint, up to the answer's beginning
      relay        the answer to the client, all but its end    → exchange.usage
      settle       on every way out                             → the attempt's cost
    (end)          the answer's end to the client
    observe        on every way out                             → the record

Before an answer begins a failure leads to another try, at the same tier or the next one. After its first byte there is
only the rest of the same answer, from the same endpoint or, where the tier continues streams, from another one; or an
error inside it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Container
from typing import Final

from gateway.admit import Admission
from gateway.authenticate import Authenticator, check_agent, check_time
from gateway.budget.ledger import Claim
from gateway.course import Course, TooLong, check_length
from gateway.downstream import TICK_SECONDS, Client, Deadlines, Presence, send_error
from gateway.errors import (
    BudgetExhausted,
    EndpointsUnavailable,
    GatewayError,
    RunDeadlinePassed,
    TierCold,
    TierSaturated,
    UpstreamFailed,
    UpstreamTimeout,
)
from gateway.exchange import Attempt, Clock, Exchange
from gateway.extension import Extension, Extensions, first_seconds
from gateway.forward import Forwarder
from gateway.hold import Hold, Passage
from gateway.observe import Observer
from gateway.relay import Ending, Relay
from gateway.route import Router
from gateway.settle import Settler
from gateway.upstream.flight import Flight
from gateway.upstream.station import Station
from gateway.waited import waited_headers
from gateway.wire.call import Call, read_call
from gateway.wire.request_head import RequestHead
from gateway.wire.run_bounds import DEADLINE, RunBounds
from tiers.routing import Candidate
from tiers.tiermap import Tier

SILENT_SHARE: Final = 0.5
"""An endpoint that was silent for this share of a request's whole time, up to its end, is counted as having failed."""


class Pipeline:
    """Serves metered operations; one object serves every request of the process that begins under one tier map.

    Attributes:
        in_flight: How many requests have begun and not ended.
    """

    def __init__(
        self,
        *,
        authenticate: Authenticator,
        route: Router,
        admit: Admission,
        forward: Forwarder,
        relay: Relay,
        settle: Settler,
        hold: Hold,
        extensions: Extensions,
        observe: Observer,
        clock: Clock,
        request_ids: Callable[[], str],
        body_bytes_max: int,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``draw`` makes random numbers from 0 to below 1, ``sleep`` waits for so many seconds."""
        self._authenticate = authenticate
        self._route = route
        self._admit = admit
        self._forward = forward
        self._relay = relay
        self._settle = settle
        self._hold = hold
        self._extensions = extensions
        self._observe = observe
        self._clock = clock
        self._request_ids = request_ids
        self._body_bytes_max = body_bytes_max
        self._draw = draw
        self._sleep = sleep
        self._deadlines = Deadlines()
        self.in_flight = 0

    async def serve(self, head: RequestHead, client: Client) -> None:
        """Serve one request from its first byte to its record."""
        exchange = self._begin(head)
        client.headers.append((b"x-request-id", exchange.request_id.encode()))
        fault: Exception | None = None
        self.in_flight += 1
        try:
            try:
                await self._serve(exchange, head, client)
                exchange.outcome = "ok" if exchange.status < 400 else "client_error"  # noqa: PLR2004 - HTTP's border
            except GatewayError as error:
                fault = _told(exchange, error, self._clock.unix())
                exchange.status = fault.status
                exchange.outcome, exchange.error = fault.outcome, fault.code
            except asyncio.CancelledError:
                exchange.outcome, exchange.error = "disconnected", "cancelled"
                raise
            except Exception as error:  # noqa: BLE001 - raised below, once the client knows
                exchange.status, exchange.outcome, exchange.error = 500, "upstream_error", GatewayError.code
                fault = error
            if fault is not None:
                await self._tell(exchange, client, fault)
        finally:
            fault = None  # its traceback holds this frame
            self.in_flight -= 1
            self._observe(exchange)

    async def _tell(self, exchange: Exchange, client: Client, fault: Exception) -> None:
        """Tell the client; what is the gateway's own fault is then raised."""
        if isinstance(fault, GatewayError):
            if not client.responded:
                client.headers += waited_headers(exchange)
            await send_error(client, fault)
            return
        await send_error(client, GatewayError(f"The gateway failed. Its log has request {exchange.request_id}."))
        raise fault

    async def _serve(self, exchange: Exchange, head: RequestHead, client: Client) -> None:
        caller = self._authenticate.at_once(head)
        exchange.caller = caller = caller if caller is not None else await self._authenticate.of(head)
        if caller.expires_unix is not None:
            check_time(caller, exchange.received_unix)
        identity = exchange.identity = head.identity
        if caller.agents is not None:
            check_agent(caller, identity.agent)
        if identity.bounds is not None:
            _bound(exchange, identity.bounds)
        body = await client.body(self._body_bytes_max)
        call = exchange.call = read_call(body, exchange.operation)
        found = self._route(call, identity, caller)
        if found[0].tier.escalation:
            found = self._route.escalated(found, call, head.headers, caller)
        exchange.candidates = found
        with client.present() as presence:
            ending = await self._first_good(exchange, head, client, presence)
        await ending()

    async def _first_good(self, exchange: Exchange, head: RequestHead, client: Client, presence: Presence) -> Ending:
        """Try the first candidate, and after a failure what ``Course`` says, until an answer begins or nothing is left.

        The first candidate's ``total`` bounds all tries, and so does the run's deadline. None takes longer than its
        own ``total``, for which it has reserved.
        """
        candidate = exchange.candidates[0]
        course: Course | None = None
        latest, total = exchange.due, candidate.tier.timeouts.total
        exchange.due = exchange.received_at + total
        if exchange.due > latest:
            exchange.due = latest
            self._deadlines.set(presence, latest - self._clock.monotonic(), _run_is_over, exchange)
        else:
            self._deadlines.set(presence, total, _too_late, candidate.tier)
        while True:
            try:
                avoid = course.avoid if course is not None else ()
                return await self._try(exchange, candidate, head, client, presence=presence, avoid=avoid)
            except (BudgetExhausted, TierSaturated, UpstreamFailed, TooLong) as error:
                if exchange.responded and not _may_continue(exchange):
                    raise
                if course is None:
                    course = Course(exchange, self._route, self._draw)
                further = course.after(error, self._clock.monotonic())
            if further is None:
                refusal = course.refusal
                if refusal is not None:
                    return await self._relay(exchange, refusal.attempt, refusal.answer, client)
                raise course.verdict()
            candidate, wait = further
            if wait > 0:
                await self._sleep(wait)
            now = self._clock.monotonic()
            exchange.due = min(now + candidate.tier.timeouts.total, course.latest)
            if exchange.due < latest:
                self._deadlines.set(presence, exchange.due - now, _too_late, candidate.tier)
            else:
                self._deadlines.set(presence, exchange.due - now, _run_is_over, exchange)

    def _try(
        self,
        exchange: Exchange,
        candidate: Candidate,
        head: RequestHead,
        client: Client,
        *,
        presence: Presence,
        avoid: Container[str],
    ) -> Awaitable[Ending]:
        """One attempt at an endpoint that is chosen before anything is taken: where none may be asked, nothing is.

        Where the endpoint's workers may sleep, the request waits for one to be awake.
        """
        try:
            station = self._forward.choose(exchange, candidate.tier, avoid)
        except EndpointsUnavailable:
            exchange.attempts.append(Attempt(tier=candidate.tier, reason=candidate.reason))
            raise
        if station.warmth is None:
            return self._attempt(exchange, candidate, station, head, client, presence=presence, avoid=avoid)
        return self._awaited(exchange, candidate, station, head, client, presence=presence)

    async def _awaited(
        self,
        exchange: Exchange,
        candidate: Candidate,
        station: Station,
        head: RequestHead,
        client: Client,
        *,
        presence: Presence,
    ) -> Ending:
        """One attempt at an endpoint whose workers may sleep."""
        passage = self._hold.passage(exchange, candidate.tier, station, client)
        fault: BaseException | None = None
        ending: Ending | None = None
        try:
            with passage.scope:
                await passage.enter()
                ending = await self._attempt(
                    exchange, candidate, station, head, client, presence=presence, passage=passage
                )
        except BaseException as error:  # noqa: BLE001 - raised below, once the gate and the client know
            fault = error
        if not passage.entered:
            exchange.attempts.append(Attempt(tier=candidate.tier, reason=candidate.reason))
        await passage.over()
        try:
            if fault is not None or ending is None:
                raise fault or RuntimeError("An attempt ended without an answer and without an error.")
        finally:
            fault = None  # its traceback holds this frame
        return ending

    async def _attempt(
        self,
        exchange: Exchange,
        candidate: Candidate,
        station: Station,
        head: RequestHead,
        client: Client,
        *,
        presence: Presence,
        avoid: Container[str] = (),
        passage: Passage | None = None,
    ) -> Ending:
        """Admission to settlement. Whatever ends it, the endpoint is left, the reservation settled, the slot freed."""
        on_trial = not station.health.well
        attempt, claim = await self._admit(exchange, candidate)
        extension = self._extended(exchange, attempt, claim, presence)
        flight: Flight | None = None
        fault: BaseException | None = None
        ending: Ending | None = None
        try:
            if attempt.queued_seconds > 0 and not on_trial and station.warmth is None:
                station = self._forward.choose(exchange, candidate.tier, avoid)  # much may have changed in the queue
            flight = self._forward.depart(attempt, station)
            answer = await self._forward(exchange, attempt, flight, _call_of(exchange), head)
            check_length(attempt, answer)
            if passage is not None:
                await passage.answered()
            attempt.begun = True
            ending = await self._relay(exchange, attempt, answer, client)
        except BaseException as error:  # noqa: BLE001 - raised below, once the attempt is settled
            attempt.error = error.code if isinstance(error, GatewayError) else ""
            fault = error
        # No ``finally`` waits for these: compiled, a coroutine may not wait while it handles an exception.
        gpu_seconds = 0.0
        if flight is not None:
            try:
                await flight.land()
            except BaseException as error:  # noqa: BLE001 - raised below
                fault = error
            if attempt.journey is not None and attempt.journey.worked_seconds_max is not None:
                flight.worked(attempt.journey.worked_seconds_max)
            gpu_seconds = flight.gpu_seconds
            self._report(exchange, attempt, station, fault)
        if extension is not None:
            self._extensions.forget(extension)
        try:
            await self._settle(exchange, attempt, claim, gpu_seconds)
        except BaseException as error:  # noqa: BLE001 - raised below
            fault = error
        self._admit.freed(attempt.tier, claim)
        try:
            if fault is not None or ending is None:
                raise fault or RuntimeError("An attempt ended without an answer and without an error.")
        finally:
            fault = None  # its traceback holds this frame
        return ending

    def _extended(self, exchange: Exchange, attempt: Attempt, claim: Claim, presence: Presence) -> Extension | None:
        """Have what a stream holds extended while it runs, where that is less than it may come to."""
        if not claim.amounts or claim.allowed is not None or not _call_of(exchange).stream:
            return None
        held = first_seconds(attempt.tier, stream=True)
        since = attempt.admitted_at if attempt.admitted_at is not None else self._clock.monotonic()
        return self._extensions.watch(attempt.tier, claim, presence, since=since, held_seconds=held)

    def _report(self, exchange: Exchange, attempt: Attempt, station: Station, fault: BaseException | None) -> None:
        """Tell the endpoint's condition how the attempt went, where that tells something of the endpoint."""
        if fault is None or attempt.begun or isinstance(fault, TooLong):
            station.report(fault if isinstance(fault, UpstreamFailed) else None)
        elif isinstance(fault, UpstreamFailed):
            station.report(fault)
        elif attempt.sent_at is not None and isinstance(fault, asyncio.CancelledError):
            if station.warmth is not None and not station.warmth.ready:
                return  # it was asleep, which is no failure
            now = self._clock.monotonic()
            if (
                now >= exchange.due - TICK_SECONDS
                and now - attempt.sent_at >= attempt.tier.timeouts.total * SILENT_SHARE
            ):
                station.report(_too_late(attempt.tier))

    def _begin(self, head: RequestHead) -> Exchange:
        return Exchange(
            request_id=self._request_ids(),
            received_at=self._clock.monotonic(),
            received_unix=self._clock.unix(),
            operation=head.operation,
        )


def _too_late(tier: Tier) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"The request was not answered in time; the tier {tier.name!r} allows {tier.timeouts.total:g} seconds."
    )


def _bound(exchange: Exchange, bounds: RunBounds) -> None:
    """Have the request end with its run. Raises ``RunDeadlinePassed`` where that is over."""
    if bounds.deadline_unix is not None:
        left = bounds.deadline_unix - exchange.received_unix
        if left <= 0:
            raise _run_is_over(exchange)
        exchange.due = exchange.received_at + left


def _run_is_over(exchange: Exchange) -> RunDeadlinePassed:
    return RunDeadlinePassed(
        f"The deadline of the run {exchange.identity.run!r} has passed: nothing of it is served any more.",
        param=DEADLINE.decode(),
    )


def _told(exchange: Exchange, error: GatewayError, unix: float) -> GatewayError:
    """``error``, or what it comes from: a request whose run's time was over, or its own while it waited for a worker
    to wake.
    """
    if not isinstance(error, UpstreamTimeout):
        return error
    bounds = exchange.identity.bounds
    if bounds is not None and bounds.deadline_unix is not None and bounds.deadline_unix <= unix:
        return _run_is_over(exchange)
    if exchange.held is None:
        return error
    return TierCold(f"No worker woke up in time. {error.message}", retry_after_seconds=exchange.held)


def _may_continue(exchange: Exchange) -> bool:
    """Whether what is missing of an answer that the client is reading may come from elsewhere."""
    return exchange.unfinished is not None and exchange.unfinished.possible


def _call_of(exchange: Exchange) -> Call:
    if exchange.call is None:
        raise RuntimeError("A request is tried before it was read.")
    return exchange.call
