"""Where a request goes after a try that did not bring its answer."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.course import SOON_SECONDS, Course, TooLong, check_length
from gateway.errors import (
    BudgetExhausted,
    BudgetTooSmall,
    EndpointsUnavailable,
    GatewayError,
    TierSaturated,
    UpstreamAnswered,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.exchange import Attempt, Caller, Exchange
from gateway.route import Router
from gateway.upstream.flight import BegunAnswer
from gateway.wire.identity import NOBODY
from gateway.wire.unfinished import Unfinished
from tests.doubles.transport import FakeResponse
from tests.gateway.samples import CALLER, call, exchange, tier_map, token_tier
from tests.gateway.wire.samples import HELLO, ROLE
from tiers.backoff import PAD_SECONDS
from tiers.tiermap import Endpoint, Retry, Tier, Timeouts

RETRY = Retry(attempts=4, backoff=0.2, backoff_max=5.0, retry_after_max=5.0)
TOTAL = 100.0


def endpoints(name: str, count: int) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(name=f"{name}/{number}", url=f"http://{name}-{number}.test/v1") for number in range(count))


class Trip:
    """A request on its way over tiers, of which each try ends as the test says; its clock goes on with the waits."""

    def __init__(
        self,
        *tiers: Tier,
        caller: Caller = CALLER,
        draw: Callable[[], float] = lambda: 0.5,
        **fields: Any,  # noqa: ANN401 - any JSON
    ) -> None:
        router = Router(tier_map(*tiers))
        asked = call(tiers[0].name, **fields)
        self.exchange: Exchange = exchange(call=asked, caller=caller)
        found = router(asked, NOBODY, caller)
        self.exchange.candidates = router.escalated(found, asked, (), caller) if tiers[0].escalation else found
        self.course = Course(self.exchange, router, draw)
        self.candidate = self.exchange.candidates[0]
        self.now = self.exchange.received_at

    def ends(self, error: Exception, *, at: int = 0, begun: bool = False, after: float = 0.0) -> str | None:
        """The next try ends with ``error``; returns the tier, the reason and the wait of the one that follows."""
        attempt = Attempt(tier=self.candidate.tier, reason=self.candidate.reason)
        attempt.begun = begun
        attempt.endpoint_name = self.candidate.tier.endpoints[at].name
        self.exchange.attempts.append(attempt)
        self.now += after
        found = self.course.after(error, self.now)
        if found is None:
            return None
        self.candidate, wait = found
        self.now += wait
        return f"{self.candidate.tier.name} {self.candidate.reason} {wait:g}"

    def all_end(self, *errors: Exception) -> list[str | None]:
        """What follows each of these ends."""
        return [self.ends(error) for error in errors]

    def is_too_long(self, body: bytes = b"maximum context length") -> TooLong:
        """The 400 of the endpoint that was asked last."""
        answer = BegunAnswer(status=400, headers=(), body=body, response=FakeResponse(body))
        return TooLong(Attempt(tier=self.candidate.tier, reason="tier"), answer)


def routing(**fields: Any) -> Tier:  # noqa: ANN401 - any of Tier's fields
    return token_tier(**{"retry": RETRY, "timeouts": Timeouts(total=TOTAL), **fields})


def busy(status: int = 503, **fields: Any) -> UpstreamAnswered:  # noqa: ANN401 - any of its fields
    return UpstreamAnswered("busy", status=status, **fields)


@pytest.mark.parametrize(
    "failure",
    [busy(500), busy(503), busy(429), UpstreamFailed("reset"), UpstreamUnreachable("no route")],
    ids=lambda error: f"{type(error).__name__} {error.status}",
)
def test_a_failure_is_repeated_with_growing_waits_up_to_the_budget_of_tries(failure: UpstreamFailed) -> None:
    """Four in all: half of 0.2, 0.4 and 0.8 seconds are drawn between them. The first failure is told."""
    trip = Trip(routing())
    assert trip.all_end(failure, busy(), busy(), busy()) == [
        "routing retry 0.1",
        "routing retry 0.2",
        "routing retry 0.4",
        None,
    ]
    assert trip.course.verdict() is failure


def test_every_tier_that_follows_keeps_a_try() -> None:
    """So that repeating does not use up what falling back needs; a fallback is tried at once."""
    trip = Trip(routing(fallback=("second", "third")), token_tier("second"), token_tier("third"))
    assert trip.all_end(busy(), busy(), busy(), busy()) == [
        "routing retry 0.1",
        "second fallback 0",
        "third fallback 0",
        None,
    ]


def test_the_tries_are_those_of_the_tier_that_was_asked_for() -> None:
    trip = Trip(routing(fallback=("second",), retry=Retry(attempts=2)), token_tier("second", retry=Retry(attempts=20)))
    assert trip.all_end(busy(), busy()) == ["second fallback 0", None]


def test_one_try_is_one_try() -> None:
    trip = Trip(routing(fallback=("second",), retry=Retry(attempts=1)), token_tier("second"))
    assert trip.ends(busy()) is None


def test_another_endpoint_of_the_tier_is_tried_at_once() -> None:
    """One that has failed is asked again only after a wait."""
    trip = Trip(routing(endpoints=endpoints("routing", 2)))
    assert trip.ends(busy(retry_after_seconds=30), at=0) == "routing retry 0"
    assert trip.course.avoid == {"routing/0"}
    assert trip.ends(busy(), at=1) == "routing retry 0.2"
    assert trip.course.avoid == {"routing/0", "routing/1"}


@pytest.mark.parametrize("failure", [UpstreamTimeout("silent"), UpstreamRefused("who?")], ids=["silent", "refused"])
def test_what_was_silent_or_refused_is_not_asked_twice(failure: UpstreamFailed) -> None:
    """The next tier is; where there is none another endpoint, and else nobody."""
    assert Trip(routing()).ends(failure) is None
    pair = endpoints("routing", 2)
    assert Trip(routing(endpoints=pair, fallback=("second",)), token_tier("second")).ends(failure) == (
        "second fallback 0"
    )
    trip = Trip(routing(endpoints=pair))
    assert trip.ends(failure, at=0) == "routing retry 0"
    assert trip.ends(failure, at=1) is None


def test_a_short_retry_after_is_waited_for_and_a_long_one_leads_elsewhere() -> None:
    """Never is the endpoint asked before it; where there is nowhere else to go the endpoint's error is told."""
    second = token_tier("second")
    trip = Trip(routing(fallback=("second",)), second)
    assert trip.ends(busy(429, retry_after_seconds=2)) == f"routing retry {2 + PAD_SECONDS + 0.1:g}"
    assert Trip(routing(fallback=("second",)), second).ends(busy(retry_after_seconds=6)) == "second fallback 0"
    alone = Trip(routing())
    error = busy(retry_after_seconds=6)
    assert alone.ends(error) is None
    assert alone.course.verdict() is error
    assert error.retry_after_seconds == 6


def test_an_endpoint_that_named_no_time_is_worth_another_request_soon() -> None:
    trip = Trip(routing(retry=Retry(attempts=1)))
    error = busy()
    assert trip.ends(error) is None
    assert trip.course.verdict() is error
    assert error.retry_after_seconds == SOON_SECONDS


def test_no_wait_reaches_beyond_the_deadline() -> None:
    """What would not fit into the time that is left is not waited for, and after its end nothing begins."""
    trip = Trip(routing())
    assert trip.ends(busy(429, retry_after_seconds=3), after=TOTAL - 2) is None
    trip = Trip(routing(fallback=("second",)), token_tier("second"))
    assert trip.ends(busy(429, retry_after_seconds=3), after=TOTAL - 2) == "second fallback 0"
    assert trip.ends(busy(), after=2) is None


def test_a_saturated_tier_spills_over_and_counts_no_try() -> None:
    trip = Trip(routing(fallback=("second",), retry=Retry(attempts=1)), token_tier("second"))
    saturated = TierSaturated("full")
    assert trip.ends(saturated) == "second spill-over 0"
    assert trip.ends(busy()) is None
    assert trip.course.verdict() is saturated


def test_without_an_endpoint_the_next_tier_is_asked() -> None:
    """Whether one of them failed or rests."""
    for resting in (True, False):
        trip = Trip(routing(fallback=("second",)), token_tier("second"))
        assert trip.ends(EndpointsUnavailable("open", retry_after_seconds=1, resting=resting)) == "second fallback 0"


def test_a_tier_that_rests_for_a_moment_is_waited_for_where_there_is_no_other() -> None:
    """As often as tries are allowed. One whose breaker is open, or that rests long, is told of at once."""
    trip = Trip(routing())
    rest = EndpointsUnavailable("rests", retry_after_seconds=1, resting=True)
    assert trip.all_end(rest, rest, rest, rest, rest) == [
        f"routing tier {1 + PAD_SECONDS + jitter:g}" for jitter in (0.1, 0.2, 0.4, 0.8)
    ] + [None]
    assert trip.course.verdict() is rest
    for error in (
        EndpointsUnavailable("open", retry_after_seconds=1),
        EndpointsUnavailable("rests long", retry_after_seconds=6, resting=True),
    ):
        assert Trip(routing()).ends(error) is None


def test_a_spent_budget_leads_to_the_cheaper_tier_and_nowhere_else() -> None:
    """A fallback would be a way around the budget. Where the cheaper tier's is spent too, the first is told."""
    for error in (BudgetExhausted("spent"), BudgetTooSmall("too small")):
        tiers = (routing(fallback=("second",), downgrade="cheap"), token_tier("second"), token_tier("cheap"))
        trip = Trip(*tiers)
        assert trip.ends(error) == "cheap downgrade 0"
        assert trip.ends(BudgetExhausted("spent, too")) is None
        assert trip.course.verdict() is error


def test_what_fails_at_the_cheaper_tier_is_repeated_and_told() -> None:
    """It is true of the request, and may pass."""
    trip = Trip(routing(downgrade="cheap"), token_tier("cheap"))
    trip.ends(BudgetExhausted("spent"))
    error = busy()
    assert trip.ends(error) == "cheap retry 0.1"
    assert trip.ends(UpstreamTimeout("silent")) is None
    assert trip.course.verdict() is error


@pytest.mark.parametrize(
    ("caller", "fields"),
    [(Caller(name="k", tiers=frozenset({"routing"})), {}), (CALLER, {"max_tokens": 900})],
    ids=["not allowed", "too small"],
)
def test_no_budget_leads_to_a_tier_that_may_not_or_cannot_serve(caller: Caller, fields: dict[str, Any]) -> None:
    trip = Trip(routing(downgrade="cheap"), token_tier("cheap", context=500), caller=caller, **fields)
    error = BudgetExhausted("spent")
    assert trip.ends(error) is None
    assert trip.course.verdict() is error


def test_a_fallback_whose_budget_is_spent_is_passed_over() -> None:
    trip = Trip(
        routing(fallback=("second", "third"), retry=Retry(attempts=3)), token_tier("second"), token_tier("third")
    )
    first = busy()
    assert trip.ends(first) == "second fallback 0"
    assert trip.ends(BudgetExhausted("spent")) == "third fallback 0"
    assert trip.ends(BudgetExhausted("spent")) is None
    assert trip.course.verdict() is first


def test_a_fallback_that_cannot_hold_the_request_is_passed_over() -> None:
    """It would only say so. Of a request with images nobody knows."""
    tiers = (routing(fallback=("second", "third")), token_tier("second", context=500), token_tier("third"))
    assert Trip(*tiers, max_tokens=900).ends(UpstreamTimeout("silent")) == "third fallback 0"
    images = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    assert Trip(*tiers, messages=images, max_tokens=900).ends(UpstreamTimeout("silent")) == "second fallback 0"


LARGER = (
    token_tier("large", context=2000),
    token_tier("spare", context=5000),
    token_tier("huge", context=9000),
)


def test_what_does_not_fit_goes_to_the_next_tier_that_holds_it() -> None:
    """The endpoint says how much it would take; it is asked once."""
    first = routing(escalation=("large", "huge"), fallback=("spare",))
    trip = Trip(first, *LARGER)
    assert trip.ends(trip.is_too_long()) == "large escalation 0"
    assert trip.ends(trip.is_too_long(b"maximum context length is 2000, not 3000")) == "huge escalation 0"
    trip = Trip(first, *LARGER)
    assert trip.ends(trip.is_too_long(b"maximum context length is 1000, not 2500")) == "huge escalation 0"
    assert trip.ends(UpstreamTimeout("silent")) == "spare fallback 0"


def test_what_fits_nowhere_is_answered_as_the_first_endpoint_did() -> None:
    """A tier that is no escalation's is not asked: it was meant for failures."""
    for tiers, body in (
        ((routing(fallback=("spare",)), LARGER[1]), b"maximum context length"),
        ((routing(escalation=("large",)), LARGER[0]), b"maximum context length is 1000, not 2001"),
    ):
        trip = Trip(*tiers)
        refused = trip.is_too_long(body)
        assert trip.ends(refused) is None
        assert trip.course.refusal is refused
    trip = Trip(routing(escalation=("large",)), LARGER[0])
    refused = trip.is_too_long()
    assert trip.ends(refused) == "large escalation 0"
    assert trip.ends(trip.is_too_long()) is None
    assert trip.course.refusal is refused


def test_what_was_escalated_from_the_start_goes_on_with_the_tiers_that_are_left() -> None:
    """A tier that holds more by the estimate may still hold too little."""
    trip = Trip(routing(escalation=("large", "huge"), fallback=("spare",)), *LARGER, max_tokens=1500)
    assert [candidate.tier.name for candidate in trip.exchange.candidates] == ["large", "huge", "spare"]
    assert trip.ends(trip.is_too_long()) == "huge escalation 0"
    assert trip.ends(trip.is_too_long()) is None


def test_a_failure_goes_before_a_refusal() -> None:
    """What may pass is told rather than what will not."""
    trip = Trip(routing(escalation=("large",)), LARGER[0])
    trip.ends(trip.is_too_long())
    error = busy()
    trip.ends(error)
    assert trip.course.refusal is None
    assert trip.course.verdict() is error
    trip = Trip(routing(fallback=("small", "spare")), token_tier("small"), LARGER[1])
    first = UpstreamTimeout("silent")
    assert trip.ends(first) == "small fallback 0"
    assert trip.ends(trip.is_too_long()) == "spare escalation 0"
    assert trip.ends(UpstreamTimeout("silent")) is None
    assert trip.course.verdict() is first


def broken(trip: Trip) -> None:
    """The client has the beginning of an answer."""
    unfinished = Unfinished(call(stream=True))
    unfinished.took(ROLE + HELLO)
    unfinished.broke(None, 1)
    trip.exchange.responded, trip.exchange.unfinished = True, unfinished


def test_a_broken_stream_goes_on_with_the_same_model_only() -> None:
    """For what is missing; whatever fails then, the break is told."""
    tiers = (
        routing(fallback=("other", "twin"), endpoints=endpoints("routing", 2)),
        token_tier("other"),
        token_tier("twin", model="org/routing-8B"),
    )
    trip = Trip(*tiers)
    asked = trip.exchange.call
    assert trip.ends(busy(), at=0) == "routing retry 0"
    broken(trip)
    break_off = UpstreamTimeout("silent")
    assert trip.ends(break_off, at=1, begun=True) == "routing continuation 0.1"
    assert trip.exchange.call is not asked
    assert trip.ends(UpstreamRefused("no prefill"), at=0) == "twin continuation 0"
    assert trip.ends(busy()) is None
    assert trip.course.verdict() is break_off
    assert trip.course.refusal is None


def test_a_stream_that_fell_silent_may_go_on_at_its_only_endpoint() -> None:
    """Another worker may serve there; but one that is silent then is not asked again."""
    trip = Trip(routing())
    broken(trip)
    assert trip.ends(UpstreamTimeout("silent"), begun=True) == "routing continuation 0.1"
    assert trip.ends(UpstreamTimeout("silent")) is None


def test_only_a_400_that_says_so_is_too_long() -> None:
    attempt = Attempt(tier=routing(), reason="tier")
    for status, body in ((400, b"temperature"), (200, b"maximum context length")):
        check_length(attempt, BegunAnswer(status=status, headers=(), body=body, response=FakeResponse(body)))
    body = b'{"error":{"code":"context_length_exceeded"}}'
    with pytest.raises(TooLong):
        check_length(attempt, BegunAnswer(status=400, headers=(), body=body, response=FakeResponse(body)))


def failures() -> st.SearchStrategy[Callable[[Trip], Exception]]:
    """Every way in which a try may end."""
    kinds: Sequence[Callable[[float], Callable[[Trip], Exception]]] = (
        lambda seconds: lambda _: busy(429, retry_after_seconds=seconds),
        lambda _: lambda _: busy(),
        lambda _: lambda _: UpstreamFailed("reset"),
        lambda _: lambda _: UpstreamTimeout("silent"),
        lambda _: lambda _: UpstreamRefused("who?"),
        lambda _: lambda _: TierSaturated("full"),
        lambda _: lambda _: BudgetExhausted("spent"),
        lambda seconds: lambda _: EndpointsUnavailable("rests", retry_after_seconds=seconds, resting=True),
        lambda _: lambda trip: trip.is_too_long(),
    )
    return st.builds(lambda kind, seconds: kind(seconds), st.sampled_from(kinds), st.floats(0, 60))


@given(
    ends=st.lists(st.tuples(failures(), st.floats(0, 40), st.integers(0, 1)), min_size=60, max_size=60),
    attempts=st.integers(1, 8),
    draw=st.floats(0, 0.999),
)
def test_whatever_happens_tries_and_time_are_bounded(
    ends: list[tuple[Callable[[Trip], Exception], float, int]], attempts: int, draw: float
) -> None:
    """No more tries than the tier allows, none beginning after the deadline, and an end that tells something."""
    trip = Trip(
        routing(
            retry=Retry(attempts=attempts),
            endpoints=endpoints("routing", 2),
            escalation=("large", "huge"),
            fallback=("spare",),
            downgrade="cheap",
        ),
        *LARGER,
        token_tier("cheap"),
        draw=lambda: draw,
    )
    tries = 0
    for make, seconds, at in ends:
        assert trip.now < trip.course.latest, "a try that begins after the deadline"
        error = make(trip)
        tries += not isinstance(error, (TierSaturated, BudgetExhausted, EndpointsUnavailable))
        if trip.ends(error, at=at % len(trip.candidate.tier.endpoints), after=seconds) is None:
            break
    else:
        pytest.fail("a request without an end")
    assert tries <= attempts
    if trip.course.refusal is None:
        told = trip.course.verdict()
        assert isinstance(told, GatewayError)
        assert type(told) is not GatewayError
