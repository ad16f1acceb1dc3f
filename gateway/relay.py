"""Fifth step: pass the answer on to the client, byte for byte, and read on the way what accounting needs.

Where an answer broke off in a tier that continues streams, the rest of it comes from another attempt, and goes into the
stream that the client is reading already.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from gateway.downstream import Client
from gateway.errors import UpstreamFailed
from gateway.exchange import Attempt, Clock, Exchange
from gateway.upstream.flight import BegunAnswer
from gateway.upstream.transport import UpstreamResponse
from gateway.waited import waited_comment, waited_headers
from gateway.wire.continued import Continued
from gateway.wire.envelope import refusal_event
from gateway.wire.events import EventStream
from gateway.wire.header_lines import HeaderLines
from gateway.wire.headers import Header, to_client
from gateway.wire.operations import Dialect
from gateway.wire.unfinished import Unfinished
from tiers.estimate import likely_prompt_tokens
from tiers.usage import Usage

BODY_END_SECONDS: Final = 0.25
"""How long an endpoint may take to end its body after the stream's end marker."""
FINISH_SECONDS: Final = 5.0
"""How long an endpoint may be silent between the last finish reason and the stream's end marker."""
_JSON: Final = (b"content-type", b"application/json")
"""What a whole answer is, whatever its endpoint says: clients that are told otherwise do not read it."""

Ending = Callable[[], Awaitable[None]]
"""Sends what is left of an answer. It is called once the request is settled: who has the whole answer finds the
budget up to date and the slot free."""


class _Whole:
    """The sending of a whole answer."""

    __slots__ = ("_answer", "_client", "_headers", "_served")

    def __init__(self, client: Client, answer: BegunAnswer, headers: Sequence[Header], served: HeaderLines) -> None:
        self._client = client
        self._answer = answer
        self._headers = headers
        self._served = served

    def __call__(self) -> Awaitable[None]:
        answer = self._answer
        return self._client.send_whole(answer.status, self._headers, answer.body, self._served)


class Relay:
    """Relays answers."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, exchange: Exchange, attempt: Attempt, answer: BegunAnswer, client: Client) -> Ending:
        """Send the answer but for its end. Fills in the exchange's status and usage and the attempt's first token.

        Where the client has the beginning of an answer already, this is the rest of it.

        Raises:
            UpstreamFailed: The endpoint's stream broke, reported an error or ended early, or is not the rest.
            UpstreamTimeout: It fell silent for longer than the tier's idle timeout.
        """
        events = answer.events
        if exchange.responded:
            passing = self._rest_of(exchange, attempt, answer)
        else:
            exchange.status = answer.status
            headers, served = to_client(answer.headers), attempt.served
            if attempt.queued_seconds > 0 or exchange.at_runpod or len(exchange.attempts) > 1:
                headers += waited_headers(exchange)
            if events is None:
                if client.streaming:  # for the sake of signs of life, while it waited
                    return partial(client.end_stream, refusal_event(answer.body))
                if _JSON not in headers:
                    headers = [header for header in headers if header[0] != b"content-type"] + [_JSON]
                attempt.first_token_at = self._clock.monotonic()
                _account(exchange, attempt, answer.usage, likely_prompt_tokens(len(answer.body)))
                return _Whole(client, answer, headers, served)
            if not client.streaming:
                await client.start_stream(answer.status, headers, served)
            elif told := waited_comment(exchange):
                await client.send_piece(told)
            exchange.responded = True
            if attempt.tier.continue_streams and exchange.operation.dialect is Dialect.CHAT:
                exchange.unfinished = Unfinished(exchange.call) if exchange.call is not None else None
            passing = _Passing(attempt, answer.response, events, self._clock, exchange.unfinished)
        broken = True
        try:
            last = await _stream(passing, answer, client)
            broken = False
        finally:
            passing.account(exchange, attempt, broken=broken)
        return partial(client.end_stream, last)

    def _rest_of(self, exchange: Exchange, attempt: Attempt, answer: BegunAnswer) -> "_Passing":
        """The rest of an answer on its way; its first byte and token came with the attempt that began it."""
        unfinished, events = exchange.unfinished, answer.events
        if unfinished is None or events is None or not unfinished.possible:
            raise UpstreamFailed(
                f"The endpoint {attempt.endpoint_name} answered {answer.status} when it was to continue an answer."
            )
        begun = next((one for one in exchange.attempts if one.begun), attempt)
        attempt.first_byte_at, attempt.first_token_at = begun.first_byte_at, begun.first_token_at
        continued = Continued(unfinished, events, attempt.endpoint_name)
        passing = _Passing(attempt, answer.response, events, self._clock, unfinished)
        passing.continued = continued
        return passing


async def _stream(passing: "_Passing", answer: BegunAnswer, client: Client) -> bytes:
    """Send on what comes until the endpoint has nothing more; returns the last bytes, not yet sent."""
    events, response = passing.events, answer.response
    passing.push = client.push
    passing.look(answer.body)
    while not events.complete:
        if passing.unsent:
            await client.send_piece(passing.unsent)
            passing.unsent = b""
        await client.drain()
        passing.ended = True
        try:
            if passing.push is None:
                data = await response.chunk()
                if data:
                    passing.ended = False
                    passing.look(passing.feed(data))
            else:
                await response.pump(passing.take)
        except UpstreamFailed:
            if passing.refused or not events.finished:
                raise
        if passing.ended:
            return passing.through(events.finish())
    # Clients hang up as soon as they have read the end marker: it is part of the answer's end.
    await _read_out(response)
    return passing.unsent


class _Passing:
    """A stream on its way through: pieces are pushed in the moment they come, where the client's side can."""

    __slots__ = (
        "_attempt", "_clock", "_response", "_unfinished", "continued", "ended", "events", "push", "refused", "unsent",
    )  # fmt: skip

    def __init__(
        self,
        attempt: Attempt,
        response: UpstreamResponse,
        events: EventStream,
        clock: Clock,
        unfinished: Unfinished | None,
    ) -> None:
        self._attempt = attempt
        self._response = response
        self._clock = clock
        self._unfinished = unfinished
        self.continued: Continued | None = None
        self.events = events
        self.push: Callable[[bytes], bool] | None = None
        self.unsent = b""
        self.ended = False
        """Whether the endpoint has nothing more: nobody else has said that it is enough."""
        self.refused = False
        """Whether what came cannot be passed on."""

    def look(self, piece: bytes) -> None:
        """Keep ``piece`` to be sent, and note the first token's moment and that only the end is missing."""
        self.unsent = piece if self._unfinished is None or not piece else self.through(piece)
        if self._attempt.first_token_at is None and self.events.token_seen:
            self._attempt.first_token_at = self._clock.monotonic()
        if self.events.finished:
            self._response.hurry(FINISH_SECONDS)

    def feed(self, data: bytes) -> bytes:
        """What may be sent on of all that came."""
        try:
            return self.events.feed(data)
        except UpstreamFailed:
            self.refused = True
            raise

    def take(self, data: bytes) -> bool:
        """Pass on what came. Whether more may follow now: not after the end marker, nor to a client that lags."""
        piece = self.feed(data)
        events = self.events
        if events.finished or events.complete or self._attempt.first_token_at is None:
            self.look(piece)
            if events.complete:
                self.ended = False
                return False
            piece, self.unsent = self.unsent, b""
        elif self._unfinished is not None and piece:
            piece = self.through(piece)
        if not piece or self.push is None or self.push(piece):
            return True
        self.ended = False
        return False

    def through(self, piece: bytes) -> bytes:
        """``piece`` as a part of the one answer that the client reads, which may have to be continued."""
        if self.continued is not None:
            self.refused = True
            piece = self.continued.joined(piece)
            self.refused = False
        if self._unfinished is not None:
            self._unfinished.took(piece)
        return piece

    def account(self, exchange: Exchange, attempt: Attempt, *, broken: bool) -> None:
        """Note what the attempt used, and the whole answer so far."""
        reported, counted = self.events.usage, self.events.counted_output()
        _account(exchange, attempt, reported, counted)
        unfinished = self._unfinished
        if unfinished is None:
            return
        if self.continued is not None:
            exchange.usage = unfinished.usage(reported, counted)
            exchange.usage_reported = False
        if broken:
            unfinished.broke(reported, counted)


async def _read_out(response: UpstreamResponse) -> None:
    """Read the end of a body whose stream is complete, so that its connection can be used again."""
    if response.complete:
        return  # as it mostly is: then there is nothing to set a time for
    with suppress(UpstreamFailed, TimeoutError):
        async with asyncio.timeout(BODY_END_SECONDS):
            while await response.chunk():
                pass


def _account(exchange: Exchange, attempt: Attempt, reported: Usage | None, counted_output: int) -> None:
    """The usage that was reported, zero included; where none was, the gateway's own count."""
    exchange.usage_reported = reported is not None
    if reported is None:
        prompt = likely_prompt_tokens(len(exchange.call.body)) if exchange.call is not None else 0
        reported = Usage(input=prompt, output=counted_output if exchange.operation.generates else 0)
    exchange.usage = attempt.usage = reported
