"""One record of every request, for whoever watches."""

import msgspec

from gateway.journey import Journey
from gateway.observe import Observer, record_of
from gateway.record import Charge, RequestRecord, RunpodTrace
from gateway.wire.identity import Identity
from tests.doubles.clock import ManualClock
from tests.gateway.samples import attempt, call, exchange, token_tier
from tiers.usage import Usage


def test_a_request_that_ended_well_is_told_whole() -> None:
    """Each field from where it is known."""
    ended = exchange(
        received_at=1000.0,
        call=call("auto", stream=True),
        identity=Identity(agent="writer", flow="report", run="r1", step="draft", task="t"),
        status=200,
        outcome="ok",
        usage=Usage(input=7, output=3, cached=2, reasoning=1),
        usage_reported=True,
        attempts=[
            attempt(queued_seconds=0.5, gpu_seconds=0.25, cost_microdollars=5, sent_at=1001.0, ended_at=1001.5),
            attempt(
                tier=token_tier("reasoning"),
                reason="fallback",
                queued_seconds=0.25,
                sent_at=1002.0,
                first_byte_at=1003.0,
                first_token_at=1004.0,
                ended_at=1006.0,
                gpu_seconds=2.0,
                cost_microdollars=13,
            ),
        ],
    )
    assert record_of(ended, 1007.0) == RequestRecord(
        request_id="req_1",
        received_unix=1_800_000_000.0,
        operation="chat",
        stream=True,
        model="auto",
        key="demo",
        agent="writer",
        flow="report",
        run="r1",
        step="draft",
        task="t",
        tier="reasoning",
        endpoint="reasoning/0",
        reason="fallback",
        attempts=2,
        status=200,
        outcome="ok",
        error="",
        queue_delay_seconds=0.75,
        time_to_first_byte_seconds=3.0,
        time_to_first_token_seconds=4.0,
        duration_seconds=7.0,
        upstream_seconds=4.0,
        input_tokens=7,
        output_tokens=3,
        cached_tokens=2,
        reasoning_tokens=1,
        usage_reported=True,
        gpu_seconds=2.25,
        cost_microdollars=18,
        charges=(
            Charge(tier="routing", endpoint="routing/0", gpu_seconds=0.25, cost_microdollars=5),
            Charge(tier="reasoning", endpoint="reasoning/0", gpu_seconds=2.0, cost_microdollars=13),
        ),
    )


def test_times_are_whole_microseconds() -> None:
    """Finer ones are noise, and more to write."""
    third = 1 / 3
    tried = attempt(
        queued_seconds=third,
        sent_at=1000.0,
        first_byte_at=1000.0 + third,
        first_token_at=1000.0 + 2 * third,
        ended_at=1001.0 + third,
        gpu_seconds=2 * third,
    )
    ended = exchange(received_at=1000.0, received_unix=1_800_000_000 + third, attempts=[tried, tried])
    record = record_of(ended, 1002.0 + third)
    assert record.received_unix == 1_800_000_000.333333
    assert record.queue_delay_seconds == 0.666667
    assert record.time_to_first_byte_seconds == 0.333333
    assert record.time_to_first_token_seconds == 0.666667
    assert record.upstream_seconds == 1.333333
    assert record.duration_seconds == 2.333333
    assert record.gpu_seconds == 1.333333
    assert [charge.gpu_seconds for charge in record.charges] == [0.666667, 0.666667]


def test_a_request_that_got_nowhere_is_told_too() -> None:
    """What never happened is empty, zero or ``None``."""
    record = record_of(
        exchange(call=None, caller=None, status=401, outcome="unauthorized", error="invalid_api_key"), 1000.5
    )
    assert (record.status, record.outcome, record.error) == (401, "unauthorized", "invalid_api_key")
    assert (record.model, record.key, record.tier, record.endpoint, record.reason) == ("", "", "", "", "")
    assert (record.attempts, record.charges, record.duration_seconds) == (0, (), 0.5)
    assert record.queue_delay_seconds is None
    assert record.time_to_first_byte_seconds is None
    assert record.time_to_first_token_seconds is None
    assert record.upstream_seconds is None


def test_an_attempt_that_was_never_admitted_has_no_endpoint_and_no_time_there() -> None:
    """Only the wait for a slot."""
    record = record_of(exchange(attempts=[attempt(endpoint_name="", queued_seconds=30.0)]), 1030.0)
    assert (record.tier, record.endpoint, record.queue_delay_seconds) == ("routing", "", 30.0)
    assert record.upstream_seconds is None
    assert record.charges == ()


def test_every_hook_gets_the_same_record_in_order() -> None:
    """By the gateway's clock; with it, the same as JSON, whose fields have the record's order."""
    clock = ManualClock(monotonic=1002.0)
    seen: list[tuple[str, RequestRecord, bytes]] = []
    observe = Observer(
        hooks=[
            lambda record, encoded: seen.append(("first", record, encoded)),
            lambda record, encoded: seen.append(("second", record, encoded)),
        ],
        clock=clock,
    )
    ended = exchange()
    record = observe(ended)
    encoded = msgspec.json.encode(record)
    assert seen == [("first", record, encoded), ("second", record, encoded)]
    assert list(msgspec.json.decode(encoded)) == list(RequestRecord.__struct_fields__)
    assert (ended.ended_at, record.duration_seconds) == (1002.0, 2.0)


def test_no_record_holds_a_prompt_or_a_key() -> None:
    """Nothing of the body but the model's name."""
    asked = call(messages=[{"content": "my prompt"}])
    assert b"my prompt" not in msgspec.json.encode(record_of(exchange(call=asked), 1.0))
    assert not set(RequestRecord.__struct_fields__) & {"body", "prompt", "answer", "authorization"}


def test_where_the_time_went_at_runpod_is_told_of_the_last_attempt() -> None:
    """The wait for a worker is the whole request's."""
    ended = exchange(attempts=[attempt()])
    assert record_of(ended, 1007.0).runpod is None
    ended.at_runpod, ended.held_seconds = True, 30.25
    held = record_of(ended, 1007.0).runpod
    assert held is not None
    assert (held.held_seconds, held.way, held.worker_delay_seconds) == (30.25, "", None)
    ended.attempts[-1].journey = journey = Journey()
    journey.way, journey.cold, journey.job, journey.worker, journey.tries = "job", True, "job-1-u1", "w1", 1
    journey.delay_seconds, journey.execution_seconds = 105.5, 2.25
    assert record_of(ended, 1007.0).runpod == RunpodTrace(
        held_seconds=30.25,
        way="job",
        cold=True,
        job="job-1-u1",
        worker="w1",
        tries=1,
        worker_delay_seconds=105.5,
        execution_seconds=2.25,
    )
