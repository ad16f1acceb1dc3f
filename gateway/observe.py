"""Last step, on every way out: one frozen record of the request, given to whoever watches."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.exchange import Attempt, Clock, Exchange
from gateway.journey import Journey
from gateway.record import Charge, RequestRecord, RunpodTrace
from tiers.usage import Usage

Hook = Callable[[RequestRecord, bytes], None]
"""Takes a record and the same record as a JSON object, its fields in their order."""

_NO_USAGE: Final = Usage()


class Observer:
    """Makes the record, encodes it once and hands both to the hooks, in order. Hooks are quick and do not raise."""

    def __init__(self, *, hooks: Sequence[Hook], clock: Clock) -> None:
        self._hooks = tuple(hooks)
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, exchange: Exchange) -> RequestRecord:
        """The record of an exchange that has ended."""
        exchange.ended_at = ended_at = self._clock.monotonic()
        record = record_of(exchange, ended_at)
        encoded = self._encode(record)
        for hook in self._hooks:
            hook(record, encoded)
        return record


def record_of(exchange: Exchange, ended_at: float) -> RequestRecord:
    """What is left of ``exchange``, which ended at ``ended_at`` of the monotonic clock.

    The record's fields are given in their order and not by name: names triple the time that it takes to make one.
    """
    call, caller, identity, attempts = exchange.call, exchange.caller, exchange.identity, exchange.attempts
    attempt = attempts[-1] if attempts else None
    usage = exchange.usage or _NO_USAGE
    start = exchange.received_at
    queued, gpu_seconds, cost, charges = _sums(attempts)
    return RequestRecord(
        exchange.request_id,
        _rounded(exchange.received_unix),
        exchange.operation.name,
        call.stream if call is not None else False,
        call.model if call is not None else "",
        caller.name if caller is not None else "",
        identity.agent,
        identity.flow,
        identity.run,
        identity.step,
        identity.task,
        attempt.tier.name if attempt is not None else "",
        attempt.endpoint_name if attempt is not None else "",
        attempt.reason if attempt is not None else "",
        len(attempts),
        exchange.status,
        exchange.outcome,
        exchange.error,
        queued,
        _between(start, attempt.first_byte_at) if attempt is not None else None,
        _between(start, attempt.first_token_at) if attempt is not None else None,
        _rounded(ended_at - start),
        _between(attempt.sent_at, attempt.ended_at) if attempt is not None else None,
        usage.input,
        usage.output,
        usage.cached,
        usage.reasoning,
        exchange.usage_reported,
        gpu_seconds,
        cost,
        charges,
        _runpod(exchange, attempt) if exchange.at_runpod else None,
        caller.team if caller is not None else "",
        exchange.refused_by,
        exchange.shadowed,
    )


def _runpod(exchange: Exchange, attempt: Attempt | None) -> RunpodTrace:
    journey = attempt.journey if attempt is not None and attempt.journey is not None else Journey()
    return RunpodTrace(
        held_seconds=_rounded(exchange.held_seconds),
        way=journey.way,
        cold=journey.cold,
        job=journey.job,
        worker=journey.worker,
        tries=journey.tries,
        worker_delay_seconds=journey.delay_seconds,
        execution_seconds=journey.execution_seconds,
    )


def _sums(attempts: Sequence[Attempt]) -> tuple[float | None, float, int, tuple[Charge, ...]]:
    """Over all attempts: wait (``None`` if there was no attempt), GPU seconds, microdollars, and who is owed them."""
    if not attempts:
        return None, 0.0, 0, ()
    queued, gpu_seconds, cost = 0.0, 0.0, 0
    charges = []
    for attempt in attempts:
        queued += attempt.queued_seconds
        gpu_seconds += attempt.gpu_seconds
        cost += attempt.cost_microdollars
        if attempt.gpu_seconds or attempt.cost_microdollars:
            charges.append(
                Charge(
                    tier=attempt.tier.name,
                    endpoint=attempt.endpoint_name,
                    gpu_seconds=_rounded(attempt.gpu_seconds),
                    cost_microdollars=attempt.cost_microdollars,
                )
            )
    return _rounded(queued), _rounded(gpu_seconds), cost, tuple(charges)


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else _rounded(end - start)


def _rounded(seconds: float) -> float:
    """Microseconds are as fine as any clock here is worth telling; a third of the time of ``round(seconds, 6)``."""
    return int(seconds * 1e6 + 0.5) / 1e6
