"""What a run may take in all, from its headers."""

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.identity import identity_of
from gateway.wire.run_bounds import DEADLINE, MAX_CALLS, MAX_USD, RUN, RunBounds, run_bounds_of
from tiers.budgets import RUN_BUDGETS


def test_without_headers_there_is_no_bound() -> None:
    """Also for a run that is named."""
    assert run_bounds_of({RUN: b"r1"}) is None
    assert identity_of({RUN: b"r1"}).bounds is None


def test_bounds_belong_to_who_calls() -> None:
    sent = {RUN: b"r1", MAX_USD: b" 0.25 ", MAX_CALLS: b"7", DEADLINE: b"1795420800.5"}
    assert identity_of(sent).bounds == RunBounds(microdollars=250_000, calls=7, deadline_unix=1_795_420_800.5)


def test_the_budgets_are_called_as_the_headers_that_bring_them() -> None:
    """So a refusal says which header was too small."""
    assert {MAX_USD.decode(), MAX_CALLS.decode()} == RUN_BUDGETS


@pytest.mark.parametrize(
    ("raw", "microdollars"),
    [(b"0", 0), (b"0.000001", 1), (b"0.1", 100_000), (b"12.5", 12_500_000), (b"3.030303", 3_030_303)],
)
def test_money_is_read_to_the_microdollar(raw: bytes, microdollars: int) -> None:
    assert run_bounds_of({RUN: b"r1", MAX_USD: raw}) == RunBounds(microdollars=microdollars)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        *((MAX_USD, raw) for raw in (b"", b"-1", b"1e3", b".5", b"1.", b"0.0000001", b"1000000000", b"1 USD", b"nan")),
        *((MAX_CALLS, raw) for raw in (b"", b"-1", b"7.0", b"1000000000", b"\xd9\xa7")),
        *((DEADLINE, raw) for raw in (b"", b"soon", b"-5", b"inf", b"2026-11-23T12:00:00Z")),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_headers_name(name: bytes, raw: bytes) -> None:
    """A bound that was misunderstood would bind nothing."""
    with pytest.raises(InvalidRequest, match=name.decode()) as caught:
        run_bounds_of({RUN: b"r1", name: raw})
    assert caught.value.param == name.decode()


@pytest.mark.parametrize("name", [MAX_USD, MAX_CALLS, DEADLINE])
@pytest.mark.parametrize("run", [{}, {RUN: b" "}])
def test_only_who_names_a_run_can_bound_it(name: bytes, run: dict[bytes, bytes]) -> None:
    with pytest.raises(InvalidRequest, match="has to name") as caught:
        run_bounds_of({name: b"1", **run})
    assert caught.value.param == name.decode()
