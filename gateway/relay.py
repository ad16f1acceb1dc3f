"""Fifth step: pass the answer on to the client, byte for byte, and read on the way what accounting needs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from gateway.downstream import Client
from gateway.errors import UpstreamFailed
from gateway.exchange import Attempt, Clock, Exchange
from gateway.upstream.flight import BegunAnswer
from gateway.upstream.transport import UpstreamResponse
from gateway.wire.events import EventStream
from gateway.wire.headers import Header, to_client
from tiers.estimate import likely_prompt_tokens
from tiers.usage import Usage

BODY_END_SECONDS = 0.25
"""How long an endpoint may take to end its body after the stream's end marker."""

Ending = Callable[[], Awaitable[None]]
"""Sends what is left of an answer. It is called once the request is settled: who has the whole answer finds the
budget up to date and the slot free."""


class Relay:
    """Relays answers."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._served: dict[tuple[str, str, str], list[Header]] = {}

    async def __call__(self, exchange: Exchange, attempt: Attempt, answer: BegunAnswer, client: Client) -> Ending:
        """Send the answer but for its end. Fills in the exchange's status and usage and the attempt's first token.

        Raises:
            UpstreamFailed: The endpoint's stream broke, reported an error or ended early.
            UpstreamTimeout: It fell silent for longer than the tier's idle timeout.
        """
        exchange.status = answer.status
        headers = to_client(answer.headers)
        headers += self._served_by(attempt)
        if answer.events is None:
            attempt.first_token_at = self._clock.monotonic()
            _account(exchange, answer.usage, counted_output=likely_prompt_tokens(len(answer.body)))
            return partial(client.send_whole, answer.status, headers, answer.body)
        await client.start_stream(answer.status, headers)
        exchange.responded = True
        try:
            last = await self._stream(attempt, answer, answer.events, client)
        finally:
            _account(exchange, answer.events.usage, counted_output=answer.events.counted_output())
        return partial(client.end_stream, last)

    def _served_by(self, attempt: Attempt) -> list[Header]:
        """Headers that say who served; all three are words of the tier map and of the code, so they are kept."""
        served = (attempt.tier.name, attempt.endpoint_name, attempt.reason)
        headers = self._served.get(served)
        if headers is None:
            names = (b"x-tiergate-tier", b"x-tiergate-endpoint", b"x-tiergate-reason")
            headers = self._served[served] = [(name, word.encode()) for name, word in zip(names, served, strict=True)]
        return headers

    async def _stream(self, attempt: Attempt, answer: BegunAnswer, events: EventStream, client: Client) -> bytes:
        """Send on what comes until the endpoint has nothing more; returns the last bytes, not yet sent."""
        passing = _Passing(attempt, events, client.push, self._clock)
        passing.look(answer.body)
        while not events.complete:
            if passing.unsent:
                await client.send_piece(passing.unsent)
                passing.unsent = b""
            await client.drain()
            if client.push is None:
                data = await answer.response.chunk()
                if not data:
                    return events.finish()
                passing.look(events.feed(data))
            else:
                passing.ended = True
                await answer.response.pump(passing.take)
                if passing.ended:
                    return events.finish()
        # Clients hang up as soon as they have read the end marker: it is part of the answer's end.
        await _read_out(answer.response)
        return passing.unsent


class _Passing:
    """A stream on its way through: pieces are pushed in the moment they come, where the client's side can."""

    __slots__ = ("_attempt", "_clock", "_events", "_push", "ended", "unsent")

    def __init__(
        self, attempt: Attempt, events: EventStream, push: Callable[[bytes], bool] | None, clock: Clock
    ) -> None:
        self._attempt = attempt
        self._events = events
        self._push = push
        self._clock = clock
        self.unsent = b""
        self.ended = False
        """Whether the endpoint has nothing more: nobody else has said that it is enough."""

    def look(self, piece: bytes) -> None:
        """Keep ``piece`` to be sent, and note the first token's moment."""
        self.unsent = piece
        if self._attempt.first_token_at is None and self._events.token_seen:
            self._attempt.first_token_at = self._clock.monotonic()

    def take(self, data: bytes) -> bool:
        """Pass on what came. Whether more may follow now: not after the end marker, nor to a client that lags."""
        piece = self._events.feed(data)
        if self._events.complete or self._attempt.first_token_at is None:
            self.look(piece)
            if self._events.complete:
                self.ended = False
                return False
            piece, self.unsent = self.unsent, b""
        if not piece or self._push is None or self._push(piece):
            return True
        self.ended = False
        return False


async def _read_out(response: UpstreamResponse) -> None:
    """Read the end of a body whose stream is complete, so that its connection can be used again."""
    if response.complete:
        return  # as it mostly is: then there is nothing to set a time for
    with suppress(UpstreamFailed, TimeoutError):
        async with asyncio.timeout(BODY_END_SECONDS):
            while await response.chunk():
                pass


def _account(exchange: Exchange, reported: Usage | None, *, counted_output: int) -> None:
    """The usage that was reported, zero included; where none was, the gateway's own count."""
    exchange.usage_reported = reported is not None
    if reported is not None:
        exchange.usage = reported
        return
    generates = exchange.operation.generates
    prompt = likely_prompt_tokens(len(exchange.call.body)) if exchange.call is not None else 0
    exchange.usage = Usage(input=prompt, output=counted_output if generates else 0)
