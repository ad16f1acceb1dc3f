"""Counts of records."""

import msgspec
import pytest

from gateway.record import Charge, RequestRecord, RunpodTrace
from gateway.usage import tally as module
from gateway.usage.question import Question
from gateway.usage.tally import COLUMNS, OTHER, Tally, exact
from tests.gateway.samples import record

AT = 1_800_000_000.25


def counted(*records: RequestRecord, by: tuple[str, ...] = ("tier",), **only: str) -> Tally:
    tally = Tally(Question(by=by, since_unix=0.0, only=only))
    tally.add([msgspec.json.encode(one) for one in records])
    return tally


def test_an_attempt_costs_whom_it_ran_on() -> None:
    """The request and its tokens count where it ended; a filter by tier takes each by the same rule."""
    failed_over = record(
        charges=(
            Charge(tier="reasoning", endpoint="reasoning/0", gpu_seconds=2.5, cost_microdollars=700),
            Charge(tier="routing", endpoint="routing/0", gpu_seconds=0.75, cost_microdollars=120),
        )
    )
    reasoning, routing = counted(failed_over).rows()
    assert (reasoning["tier"], reasoning["requests"], reasoning["cost_microdollars"]) == ("reasoning", 0, 700)
    assert (routing["requests"], routing["input_tokens"], routing["cost_usd"]) == (1, 12, "0.000120")
    assert counted(failed_over, tier="routing").rows() == [routing]
    assert counted(failed_over, tier="reasoning").rows() == [reasoning]
    [whole] = counted(failed_over, by=()).rows()
    assert (whole["cost_microdollars"], whole["gpu_seconds"], tuple(whole)) == (820, "3.250000", COLUMNS)


def test_every_group_and_every_number() -> None:
    runpod = RunpodTrace(
        held_seconds=0, way="route", cold=False, job="j", worker="w", tries=1, worker_delay_seconds=4.0,
        execution_seconds=1.0,
    )  # fmt: skip
    one = record(team="red", cached_tokens=3, reasoning_tokens=2, runpod=runpod)
    [row] = counted(one, by=("team", "flow", "run", "step", "endpoint", "day", "hour")).rows()
    assert [row[name] for name in ("team", "flow", "run", "step", "endpoint", "day", "hour")] == [
        "red", "report", "run-1", "draft", "routing/0", "2027-01-15", "2027-01-15T08:00Z",
    ]  # fmt: skip
    assert (row["cached_tokens"], row["reasoning_tokens"], row["output_tokens"]) == (3, 2, 5)
    assert row["ttft_p50_seconds"] == pytest.approx(1.0, rel=0.011)
    assert row["queue_delay_p95_seconds"] == pytest.approx(0.5, rel=0.011)
    assert row["worker_delay_p50_seconds"] == pytest.approx(4.0, rel=0.011)


def test_outcomes() -> None:
    words = ("ok", "budget_exhausted", "shed", "upstream_error", "timeout", "timeout", "client_error")
    [row] = counted(*(record(outcome=word) for word in words)).rows()
    assert (row["requests"], row["refused"], row["failed"]) == (7, 2, 3)


def test_only_what_is_asked_for() -> None:
    """From the beginning on, before the end, of that agent."""
    tally = Tally(Question(by=(), since_unix=AT, until_unix=AT + 1, only={"agent": "a"}))
    moments = ((AT - 0.01, "a"), (AT, "a"), (AT + 0.5, "b"), (AT + 1, "a"))
    tally.add([msgspec.json.encode(record(received_unix=at, agent=agent)) for at, agent in moments])
    assert [row["requests"] for row in tally.rows()] == [1]


def test_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after is counted together, and nothing is lost."""
    monkeypatch.setattr(module, "GROUPS_MAX", 2)
    rows = counted(*(record(agent=name) for name in "abcda"), by=("agent",)).rows()
    assert {row["agent"]: row["requests"] for row in rows} == {"a": 2, "b": 1, OTHER: 2}


def test_exact_amounts() -> None:
    assert [exact(amount) for amount in (0, 1, 12_345_678, -1)] == ["0.000000", "0.000001", "12.345678", "-0.000001"]
