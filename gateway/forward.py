"""Fourth step: send the request to an endpoint of the tier and wait for an answer that can be relayed.

Everything that can go wrong before the first byte of a good answer ends here as an error, so that the pipeline may
try the next candidate. For a stream that includes its first event: an endpoint that fails at once often says so there.
"""

import asyncio
from collections.abc import Awaitable, Container, Sequence
from typing import Final

import msgspec

from gateway.errors import (
    EndpointsUnavailable,
    UpstreamAnswered,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.exchange import Attempt, Clock, Exchange
from gateway.journey import Journey
from gateway.upstream.fleet import Fleet
from gateway.upstream.flight import BegunAnswer, Flight
from gateway.upstream.station import Station
from gateway.upstream.transport import UpstreamRequest, UpstreamResponse
from gateway.wire import affinity
from gateway.wire.answer import is_answer
from gateway.wire.call import Call
from gateway.wire.events import EventStream
from gateway.wire.headers import Header
from gateway.wire.request_head import RequestHead
from gateway.wire.retry_after import retry_after
from gateway.wire.rewrite import upstream_body
from tiers.tiermap import Tier
from tiers.usage import Usage

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""The largest whole answer that is accepted: 20 MB is Runpod's own bound, embeddings of large batches are larger."""
_SHOWN_CHARACTERS_MAX: Final = 400
_OK: Final = 200


class Forwarder:
    """Sends attempts to the endpoints of one fleet."""

    def __init__(self, *, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock

    def choose(self, exchange: Exchange, tier: Tier, avoid: Container[str]) -> Station:
        """The endpoint that is to be asked; one that ``avoid`` names only where there is no other.

        Raises:
            EndpointsUnavailable: None may be asked now.
        """
        belongs = None if tier.affinity == "none" or len(tier.endpoints) == 1 else _belongs(exchange, tier)
        station = self._fleet.choose(tier, belongs, avoid)
        if station is None:
            raise EndpointsUnavailable(
                f"No endpoint of the tier {tier.name!r} is asked at present, because they failed or wanted a rest.",
                retry_after_seconds=self._fleet.retry_after(tier),
                resting=any(one.tier == tier.name and one.state == "closed" for one in self._fleet.conditions()),
            )
        return station

    def depart(self, attempt: Attempt, station: Station) -> Flight:
        """Count an admitted attempt as in flight at the endpoint that was chosen."""
        attempt.endpoint_name, attempt.served = station.name, station.served(attempt.reason)
        return Flight(station=station, clock=self._clock, started=station.meter.start(self._clock.monotonic()))

    def __call__(
        self, exchange: Exchange, attempt: Attempt, flight: Flight, call: Call, head: RequestHead
    ) -> Awaitable[BegunAnswer]:
        """Send ``call`` and wait for the beginning of a good answer. The caller closes ``flight`` on every way out.

        A stream begins with its first event; where its endpoint has a limit for the first token, with that token.

        Raises:
            UpstreamAnswered: The endpoint answered with 429 or a 5xx.
            UpstreamRefused: It refused the gateway's key or does not know the tier's model.
            UpstreamUnreachable: Nothing was sent.
            UpstreamFailed: No usable answer; see its subclasses.
        """
        begun = self._begun(exchange, attempt, flight, call, head)
        limit = flight.station.first_token_limit
        return begun if limit is None or not call.stream else self._within(limit, attempt, begun)

    async def _within(self, limit: float, attempt: Attempt, begun: Awaitable[BegunAnswer]) -> BegunAnswer:
        try:
            async with asyncio.timeout(limit):
                return await begun
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"The endpoint {attempt.endpoint_name} sent no token within {limit:g} s (timeout first_token)."
                " Try again, or give the tier a longer timeout."
            ) from error

    async def _begun(
        self, exchange: Exchange, attempt: Attempt, flight: Flight, call: Call, head: RequestHead
    ) -> BegunAnswer:
        operation = exchange.operation
        if flight.station.warmth is not None:
            attempt.journey = Journey()
        request = UpstreamRequest(
            method=b"POST",
            path=operation.path.encode(),
            headers=(head.passed, flight.station.headers),
            body=upstream_body(call, operation, flight.station.model, answer_bound=attempt.answer_bound),
            due=exchange.due,
            journey=attempt.journey,
            affinity=_belongs(exchange, attempt.tier) if _sticks(attempt) else None,
        )
        attempt.sent_at = self._clock.monotonic()
        try:
            response = flight.response = await flight.station.transport.send(request)
        except UpstreamUnreachable:
            attempt.sent_at = None
            raise
        attempt.first_byte_at = self._clock.monotonic()
        attempt.upstream_status = response.status
        if response.status == _OK and call.stream and _content_type(response.headers) == b"text/event-stream":
            events = EventStream(
                operation.dialect,
                wants_usage=call.wants_usage,
                choices=call.choices,
                prompt_bytes=len(call.body),
            )
            limited = flight.station.first_token_limit is not None
            return await _begun_stream(response, events, limited=limited)
        body = await response.read(ANSWER_BYTES_MAX)
        if response.status == _OK and not call.stream:
            good, usage = is_answer(body, operation)
            if good:
                return BegunAnswer(status=_OK, headers=response.headers, body=body, response=response, usage=usage)
        if response.status < 400:  # noqa: PLR2004 - HTTP's border between answers and errors
            raise UpstreamFailed(
                f"The endpoint {attempt.endpoint_name} answered {response.status}, but not with an answer to"
                f" {operation.path}{' as a stream' if call.stream else ''}: {_shown(body)}",
                retry_after_seconds=1,
            )
        self._raise_for(response, body, attempt, flight.station.model)
        if exchange.responded:
            raise UpstreamRefused(
                f"The endpoint {attempt.endpoint_name} did not continue an answer that broke off: {_shown(body)}"
            )
        return BegunAnswer(
            status=response.status,
            headers=[(b"content-type", b"application/json")],
            body=_as_envelope(response.status, body),
            response=response,
            usage=Usage(),
        )

    def _raise_for(self, response: UpstreamResponse, body: bytes, attempt: Attempt, model: str) -> None:
        """Raise for an error status that is not the caller's fault."""
        status, name = response.status, attempt.endpoint_name
        if status in {401, 403}:
            raise UpstreamRefused(
                f"The endpoint {name} refused the gateway's key ({status}). Check its api_key in the tier map."
            )
        if status == 404 and b"model" in body and b"does not exist" in body:  # noqa: PLR2004 - vLLM's answer
            raise UpstreamRefused(
                f"The endpoint {name} does not serve {model!r}. Check the tier's model against the"
                " endpoint's served name."
            )
        if status == 429 or status >= 500:  # noqa: PLR2004 - HTTP's own
            raise UpstreamAnswered(
                f"The endpoint {name} answered {status}: {_shown(body)}",
                status=status,
                retry_after_seconds=retry_after(response.headers, self._clock.unix()),
            )


async def _begun_stream(response: UpstreamResponse, events: EventStream, *, limited: bool) -> BegunAnswer:
    """The answer as soon as something of it can be sent on; where it is ``limited``, once its first token came."""
    body = b""
    while not body or (limited and not events.token_seen and not events.complete):
        data = await response.chunk()
        if not data:
            body += events.finish()
            break
        body += events.feed(data)
    return BegunAnswer(status=_OK, headers=response.headers, body=body, response=response, events=events)


def _sticks(attempt: Attempt) -> bool:
    """Whether a worker of the endpoint, and not only the endpoint, is to be the same for one session."""
    return attempt.journey is not None and attempt.tier.affinity == "session"


def _belongs(exchange: Exchange, tier: Tier) -> bytes | None:
    """What the request has in common with others that are to go to the same endpoint."""
    if tier.affinity == "session":
        return affinity.session(exchange.identity, exchange.caller.name if exchange.caller is not None else "")
    return affinity.prefix(exchange.call.body) if exchange.call is not None else None


def _content_type(headers: Sequence[Header]) -> bytes:
    for name, value in headers:
        if name == b"content-type":
            return value.partition(b";")[0].strip().lower()
    return b""


def _shown(body: bytes) -> str:
    """What an error body says, cut short: its message where it is an error of any known form."""
    text = _error_message(body) or body.decode("utf-8", "replace")
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else text[:_SHOWN_CHARACTERS_MAX] + "…"


def _error_message(body: bytes) -> str:
    value = _json(body)
    if not isinstance(value, dict):
        return ""
    error = value.get("error", value)
    message = error.get("message", error.get("detail", "")) if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


def _json(body: bytes) -> object:
    """The value that ``body`` is, ``None`` where it cannot be read."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _as_envelope(status: int, body: bytes) -> bytes:
    """The endpoint's answer to a request that the caller must change: as it is, if it has OpenAI's form."""
    value = _json(body)
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        return body
    return msgspec.json.encode(
        {
            "error": {
                "message": _shown(body) or f"The endpoint answered {status} without a word.",
                "type": "invalid_request_error",
                "param": value.get("param") if isinstance(value, dict) else None,
                "code": "upstream_rejected",
            }
        }
    )
