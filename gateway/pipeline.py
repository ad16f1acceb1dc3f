"""A request's way, written once.

    authenticate   whose key it is                              → exchange.caller
    (read)         the body, and what routing must know of it   → exchange.call
    route          which tiers may serve it, in order           → exchange.candidates
    then for one candidate after the other, until an answer begins:
      admit        a slot, and the worst case held on budgets   → exchange.attempts
      forward      to an endpoint, up to the answer's beginning
      relay        the answer to the client, all but its end    → exchange.usage
      settle       on every way out                             → the attempt's cost
    (end)          the answer's end to the client
    observe        on every way out                             → the record

Before an answer begins a failure leads to the next candidate: *fallback* where an endpoint failed, *spill-over* where
a tier is saturated. After its first byte there is only the rest of the same answer, or an error inside it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from gateway.admit import Admission
from gateway.authenticate import Authenticator
from gateway.downstream import Client, Deadlines, Presence, send_error
from gateway.errors import (
    BudgetExhausted,
    GatewayError,
    ModelNotFound,
    TierSaturated,
    UpstreamFailed,
    UpstreamTimeout,
)
from gateway.exchange import Clock, Exchange
from gateway.forward import Forwarder
from gateway.observe import Observer
from gateway.relay import Ending, Relay
from gateway.route import Router
from gateway.settle import Settler
from gateway.wire.call import Call, read_call
from gateway.wire.request_head import RequestHead
from tiers.routing import Candidate
from tiers.tiermap import Tier


class Pipeline:
    """Serves metered operations; one object serves every request of the process."""

    def __init__(
        self,
        *,
        authenticate: Authenticator,
        route: Router,
        admit: Admission,
        forward: Forwarder,
        relay: Relay,
        settle: Settler,
        observe: Observer,
        clock: Clock,
        request_ids: Callable[[], str],
        body_bytes_max: int,
    ) -> None:
        self._authenticate = authenticate
        self._route = route
        self._admit = admit
        self._forward = forward
        self._relay = relay
        self._settle = settle
        self._observe = observe
        self._clock = clock
        self._request_ids = request_ids
        self._body_bytes_max = body_bytes_max
        self._deadlines = Deadlines()

    async def serve(self, head: RequestHead, client: Client) -> None:
        """Serve one request from its first byte to its record."""
        exchange = self._begin(head)
        client.headers.append((b"x-request-id", exchange.request_id.encode()))
        fault: Exception | None = None
        try:
            try:
                await self._serve(exchange, head, client)
                exchange.outcome = "ok" if exchange.status < 400 else "client_error"  # noqa: PLR2004 - HTTP's border
            except GatewayError as error:
                exchange.status = error.status
                exchange.outcome, exchange.error = error.outcome, error.code
                fault = error
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
            self._observe(exchange)

    async def _tell(self, exchange: Exchange, client: Client, fault: Exception) -> None:
        """Tell the client; what is the gateway's own fault is then raised."""
        if isinstance(fault, GatewayError):
            await send_error(client, fault)
            return
        await send_error(client, GatewayError(f"The gateway failed. Its log has request {exchange.request_id}."))
        raise fault

    async def _serve(self, exchange: Exchange, head: RequestHead, client: Client) -> None:
        exchange.caller = self._authenticate.of(head)
        exchange.identity = head.identity
        body = await client.body(self._body_bytes_max)
        exchange.call = read_call(body, exchange.operation)
        exchange.candidates = self._route(exchange.call, exchange.identity, exchange.caller)
        with client.present() as presence:
            ending = await self._first_good(exchange, exchange.call, head, client, presence)
        await ending()

    async def _first_good(
        self, exchange: Exchange, call: Call, head: RequestHead, client: Client, presence: Presence
    ) -> Ending:
        """Try the candidates in order; the first failure is the request's.

        The first candidate's ``total`` bounds them all, and none takes longer than its own, for which it has reserved.
        """
        # Taken out when it is raised: an error holds the frames that it came through, and they would hold it.
        first: list[GatewayError] = []
        latest = exchange.received_at + exchange.candidates[0].tier.timeouts.total
        for candidate in exchange.candidates:
            seconds = candidate.tier.timeouts.total
            if first:
                seconds = min(seconds, latest - self._clock.monotonic())
            self._deadlines.set(presence, seconds, partial(_too_late, candidate.tier))
            try:
                return await self._try(exchange, _because(candidate, first), call, head, client)
            except (TierSaturated, UpstreamFailed) as error:
                if exchange.responded:
                    raise
                if not first:
                    first.append(error)
            except BudgetExhausted as error:
                # A spent budget is the answer, unless it is a fallback's: then the first failure is.
                if not first:
                    first.append(error)
                    break
        raise first.pop() if first else ModelNotFound("No tier may serve this request.", param="model")

    async def _try(
        self, exchange: Exchange, candidate: Candidate, call: Call, head: RequestHead, client: Client
    ) -> Ending:
        """One attempt. Whatever ends it, the endpoint is left, the reservation settled and the slot freed."""
        attempt, claim = await self._admit(exchange, candidate)
        flight = self._forward.depart(attempt)
        fault: BaseException | None = None
        ending: Ending | None = None
        try:
            answer = await self._forward(exchange, attempt, flight, call, head)
            ending = await self._relay(exchange, attempt, answer, client)
        except BaseException as error:  # noqa: BLE001 - raised below, once the attempt is settled
            attempt.error = error.code if isinstance(error, GatewayError) else ""
            fault = error
        fault = await _after(fault, flight.land())
        fault = await _after(fault, self._settle(exchange, attempt, claim, flight.gpu_seconds))
        self._admit.freed(attempt.tier)
        try:
            if fault is not None or ending is None:
                raise fault or RuntimeError("An attempt ended without an answer and without an error.")
        finally:
            fault = None  # its traceback holds this frame
        return ending

    def _begin(self, head: RequestHead) -> Exchange:
        return Exchange(
            request_id=self._request_ids(),
            received_at=self._clock.monotonic(),
            received_unix=self._clock.unix(),
            operation=head.operation,
        )


async def _after(fault: BaseException | None, step: Awaitable[None]) -> BaseException | None:
    """What there is to raise after ``step``, which is taken in any case: its own error, or the ``fault`` before it.

    No ``finally`` waits for it: compiled, a coroutine may not wait while it handles an exception (decision 0015).
    """
    try:
        await step
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        return error
    return fault


def _too_late(tier: Tier) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"The request was not answered in time; the tier {tier.name!r} allows {tier.timeouts.total:g} seconds."
    )


def _because(candidate: Candidate, first: list[GatewayError]) -> Candidate:
    """The candidate with its reason made exact: a tier that was saturated did not fail."""
    return replace(candidate, reason="spill-over") if first and isinstance(first[0], TierSaturated) else candidate
