"""Last step, on every way out: one frozen record of the request, given to whoever watches."""

from collections.abc import Callable, Sequence

from gateway.exchange import Attempt, Charge, Clock, Exchange, RequestRecord
from tiers.usage import Usage

Hook = Callable[[RequestRecord], None]


class Observer:
    """Makes the record and hands it to the hooks, in order. Hooks are quick and do not raise."""

    def __init__(self, *, hooks: Sequence[Hook], clock: Clock) -> None:
        self._hooks = hooks
        self._clock = clock

    def __call__(self, exchange: Exchange) -> RequestRecord:
        """The record of an exchange that has ended."""
        exchange.ended_at = self._clock.monotonic()
        record = record_of(exchange, exchange.ended_at)
        for hook in self._hooks:
            hook(record)
        return record


def record_of(exchange: Exchange, ended_at: float) -> RequestRecord:
    """What is left of ``exchange``, which ended at ``ended_at`` of the monotonic clock."""
    call, caller, identity = exchange.call, exchange.caller, exchange.identity
    attempt = exchange.attempt
    usage = exchange.usage or Usage()
    start = exchange.received_at
    return RequestRecord(
        request_id=exchange.request_id,
        received_unix=exchange.received_unix,
        operation=exchange.operation.name,
        stream=call.stream if call is not None else False,
        model=call.model if call is not None else "",
        key=caller.name if caller is not None else "",
        agent=identity.agent,
        flow=identity.flow,
        run=identity.run,
        step=identity.step,
        task=identity.task,
        tier=attempt.tier.name if attempt is not None else "",
        endpoint=attempt.endpoint_name if attempt is not None else "",
        reason=attempt.reason if attempt is not None else "",
        attempts=len(exchange.attempts),
        status=exchange.status,
        outcome=exchange.outcome,
        error=exchange.error,
        queue_delay_seconds=_queued(exchange.attempts),
        time_to_first_byte_seconds=_since(start, attempt.first_byte_at if attempt is not None else None),
        time_to_first_token_seconds=_since(start, attempt.first_token_at if attempt is not None else None),
        duration_seconds=ended_at - start,
        upstream_seconds=_upstream(attempt),
        input_tokens=usage.input,
        output_tokens=usage.output,
        cached_tokens=usage.cached,
        reasoning_tokens=usage.reasoning,
        usage_reported=exchange.usage_reported,
        gpu_seconds=sum(each.gpu_seconds for each in exchange.attempts),
        cost_microdollars=sum(each.cost_microdollars for each in exchange.attempts),
        charges=tuple(
            Charge(
                tier=each.tier.name,
                endpoint=each.endpoint_name,
                gpu_seconds=each.gpu_seconds,
                cost_microdollars=each.cost_microdollars,
            )
            for each in exchange.attempts
            if each.gpu_seconds or each.cost_microdollars
        ),
    )


def _since(start: float, moment: float | None) -> float | None:
    return None if moment is None else moment - start


def _queued(attempts: Sequence[Attempt]) -> float | None:
    return sum(attempt.queued_seconds for attempt in attempts) if attempts else None


def _upstream(attempt: Attempt | None) -> float | None:
    if attempt is None or attempt.sent_at is None or attempt.ended_at is None:
        return None
    return attempt.ended_at - attempt.sent_at
