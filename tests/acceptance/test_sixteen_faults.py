"""The sixteen faults of the public fault benchmark, over real sockets: those before an answer's first byte.

S08 to S11 and S14, where the answer has begun, are in ``test_sixteen_faults_midway.py``, S15 is in
``test_sixteen_faults_outage.py``; ``docs/reference/faults.md`` is the table. Each test begins with the table's demand.
Where the benchmark waits for tens of seconds, the tier map's times are scaled down and the test says how.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import openai
import pytest

from tests.acceptance.fault_bench import HELLO, MODES, SPARE, SPARE_MODEL, Asked, FaultBench, FaultCase, Faulty, running
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import CONTENT_FILTER, CONTEXT_TOO_LONG, Behaviour

pytestmark = pytest.mark.acceptance

both = pytest.mark.parametrize("stream", [False, True], ids=MODES)
FAULTS = {
    "s01": Faulty(settings={}),
    "s01-lonely": Faulty(lonely=True, settings={}),
    "s02": Faulty(settings={}),
    "s02-lonely": Faulty(lonely=True, settings={}),
    "s03": Faulty(settings={}),
    "s04": Faulty(settings={}),
    "s04-lonely": Faulty(lonely=True, settings={}),
    "s05": Faulty(settings={}),
    "s06": Faulty(settings={"timeouts": {"headers": "300ms"}}),
    "s06-lonely": Faulty(lonely=True, settings={"timeouts": {"headers": "300ms"}}),
    "s07": Faulty(settings={}),
    "s07-limited": Faulty(settings={"timeouts": {"headers": "300ms", "first_token": "300ms"}}),
    "s12": Faulty(settings={}),
    "s12-larger": Faulty(lonely=True, settings={"context": 512, "output": 64, "escalation": [SPARE]}),
    "s13": Faulty(settings={}),
    "s16": Faulty(settings={}),
}
SECONDS_MAX = 3.0
"""For what the gateway does without waiting, or after a scaled time; most of it is for a machine with other work."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[FaultBench]:
    directory: Path = tmp_path_factory.mktemp("faults")
    with running(FAULTS, directory, gateway_python) as opened:
        yield opened


@pytest.fixture(autouse=True)
def gateway(bench: FaultBench) -> Iterator[GatewayProcess]:
    """Whatever happens, the gateway serves afterwards."""
    yield bench.gateway
    bench.check_well()


def tries_within(case: FaultCase, seconds: float) -> int:
    """Tries at all endpoints within ``seconds`` from the first."""
    times = sorted(post.received_at for post in (*case.posts, *case.spare_posts))
    return sum(time - times[0] <= seconds for time in times)


def check_not_billed(case: FaultCase) -> None:
    """The tier that only failed has no cost in the record, and its own budget was left whole."""
    assert all(charge["tier"] != case.name for charge in case.record()["charges"])
    spent = case.gateway.nothing_held("tier-money", owner=case.name)
    assert spent["settled"] == 0


@both
def test_s01_a_retry_after_is_obeyed(bench: FaultBench, run: str, stream: bool) -> None:
    """S01, 429 with Retry-After 2, once: wait for 1.8 s or go elsewhere, at most 2 tries in 1.5 s."""
    case = bench.case("s01", stream=stream, run=run)
    case.script(Behaviour(status=429, retry_after="2"))
    asked = case.ask()
    asked.check_good()
    assert tries_within(case, 1.5) <= 2
    for one, other in pairwise(post.received_at for post in case.posts):
        assert other - one >= 1.8
    check_not_billed(case) if asked.tier == SPARE else case.check_served(asked, by=case.name, reason="retry")


@both
def test_s01_a_retry_after_is_waited_for_where_there_is_nowhere_to_go(
    bench: FaultBench, run: str, stream: bool
) -> None:
    """S01, 429 with Retry-After 2, once, and no other tier: the same endpoint again, not before 1.8 s."""
    case = bench.case("s01-lonely", stream=stream, run=run)
    case.script(Behaviour(status=429, retry_after="2"))
    asked = case.ask()
    asked.check_good()
    first, second = case.posts
    assert 1.8 <= second.received_at - first.received_at <= 2 + SECONDS_MAX
    assert case.check_served(asked, by=case.name, reason="retry")["attempts"] == 2


@both
def test_s02_an_endpoint_that_is_full_for_ever_is_left(bench: FaultBench, run: str, stream: bool) -> None:
    """S02, 429 for ever: at most 4 tries in 3 s and 6 in all, then the fallback."""
    case = bench.case("s02", stream=stream, run=run)
    case.always(Behaviour(status=429))
    asked = case.ask()
    asked.check_good()
    assert tries_within(case, 3) <= 4
    assert len(case.posts) + len(case.spare_posts) <= 6
    assert case.check_served(asked, by=SPARE, reason=asked.reason)["attempts"] <= 6
    assert asked.reason in {"fallback", "spill-over"}
    check_not_billed(case)


@both
def test_s02_an_endpoint_that_is_full_for_ever_and_alone_is_told_of(bench: FaultBench, run: str, stream: bool) -> None:
    """S02, 429 for ever and nowhere to go: as few tries, then the endpoint's words and when to come back."""
    case = bench.case("s02-lonely", stream=stream, run=run)
    case.always(Behaviour(status=429))
    asked = case.ask()
    asked.check_failed(503, "upstream_error", "scripted failure")
    assert int(asked.headers["retry-after"]) >= 1
    assert tries_within(case, 3) <= 4
    assert len(case.posts) <= 6
    check_not_billed(case)


@both
def test_s03_one_500_is_tried_again_at_the_same_endpoint(bench: FaultBench, run: str, stream: bool) -> None:
    """S03, one 500: retry the same endpoint and answer; the fallback is not troubled."""
    case = bench.case("s03", stream=stream, run=run)
    case.script(Behaviour(status=500))
    asked = case.ask()
    asked.check_good()
    assert (len(case.posts), len(case.spare_posts)) == (2, 0)
    assert asked.seconds < SECONDS_MAX
    assert case.check_served(asked, by=case.name, reason="retry")["attempts"] == 2


@both
def test_s04_an_endpoint_that_is_broken_for_ever_is_replaced(bench: FaultBench, run: str, stream: bool) -> None:
    """S04, 503 for ever: at most 6 tries, then the fallback, and soon."""
    case = bench.case("s04", stream=stream, run=run)
    case.always(Behaviour(status=503))
    asked = case.ask()
    asked.check_good()
    assert 1 <= len(case.posts) <= 5
    assert len(case.spare_posts) == 1
    assert asked.seconds < SECONDS_MAX
    case.check_served(asked, by=SPARE, reason="fallback")
    check_not_billed(case)


@both
def test_s04_the_original_error_is_kept_where_there_is_nowhere_to_go(bench: FaultBench, run: str, stream: bool) -> None:
    """S04, 503 for ever and no fallback: at most 6 tries, then the endpoint's own error."""
    case = bench.case("s04-lonely", stream=stream, run=run)
    case.always(Behaviour(status=503))
    asked = case.ask()
    asked.check_failed(503, "upstream_error", "scripted failure", f"{case.name}/0")
    assert 1 <= len(case.posts) <= 6
    assert asked.seconds < SECONDS_MAX
    assert case.record()["charges"] == []


@both
def test_s05_a_reset_before_the_head_is_tried_again(bench: FaultBench, run: str, stream: bool) -> None:
    """S05, TCP reset before the head, once: retry."""
    case = bench.case("s05", stream=stream, run=run)
    case.script(Behaviour(reset_at_once=True))
    asked = case.ask()
    asked.check_good()
    assert (len(case.posts), len(case.spare_posts)) == (2, 0)
    assert asked.seconds < SECONDS_MAX
    case.check_served(asked, by=case.name, reason="retry", owed=True)


@both
def test_s06_a_silent_endpoint_is_asked_once_and_replaced(bench: FaultBench, run: str, stream: bool) -> None:
    """S06, accepts and never answers: one try there, then the fallback (a wait of 0.3 s in place of 30 s)."""
    case = bench.case("s06", stream=stream, run=run)
    case.always(Behaviour(silent=True))
    asked = case.ask()
    asked.check_good()
    assert (len(case.posts), len(case.spare_posts)) == (1, 1)
    assert 0.3 <= asked.seconds < SECONDS_MAX
    case.check_served(asked, by=SPARE, reason="fallback", owed=True)
    case.upstream.wait_until(lambda: case.posts[0].closed_early)


@both
def test_s06_a_silent_endpoint_ends_the_request_where_there_is_nowhere_to_go(
    bench: FaultBench, run: str, stream: bool
) -> None:
    """S06, accepts and never answers, no fallback: an end within the wait that is allowed, after one try."""
    case = bench.case("s06-lonely", stream=stream, run=run)
    case.always(Behaviour(silent=True))
    asked = case.ask()
    asked.check_failed(504, "upstream_timeout")
    assert len(case.posts) == 1
    assert 0.3 <= asked.seconds < SECONDS_MAX
    assert case.record()["outcome"] == "timeout"


def late(seconds: float, *, stream: bool) -> Behaviour:
    """A first token that is late: a stream's head and role are there at once, of a whole answer nothing is."""
    return Behaviour(first_token_seconds=seconds) if stream else Behaviour(delay_seconds=seconds)


@both
def test_s07_a_late_first_token_is_waited_for(bench: FaultBench, run: str, stream: bool) -> None:
    """S07, first token after 20 s (here 0.6 s) and no limit for it: answer."""
    case = bench.case("s07", stream=stream, run=run)
    case.script(late(0.6, stream=stream))
    asked = case.ask()
    asked.check_good()
    assert len(case.posts) == 1
    assert 0.6 <= asked.seconds < SECONDS_MAX
    case.check_served(asked, by=case.name, reason="tier")


@both
def test_s07_a_limit_for_the_first_token_leads_to_the_fallback(bench: FaultBench, run: str, stream: bool) -> None:
    """S07, first token after 20 s, limit below 15 s (here 0.3 s of 2 s): the fallback answers, once and whole."""
    case = bench.case("s07-limited", stream=stream, run=run)
    case.always(late(2, stream=stream))
    asked = case.ask()
    asked.check_good()
    assert (len(case.posts), len(case.spare_posts)) == (1, 1)
    assert 0.3 <= asked.seconds < 1.8
    case.check_served(asked, by=SPARE, reason="fallback", owed=True)


@pytest.mark.parametrize("wording", CONTEXT_TOO_LONG)
@both
def test_s12_a_prompt_that_is_too_long_is_tried_once(bench: FaultBench, run: str, stream: bool, wording: str) -> None:
    """S12, 400 context_length_exceeded: exactly one try; no fallback can mend it, and the caller reads why."""
    case = bench.case("s12", stream=stream, run=run)
    case.always(CONTEXT_TOO_LONG[wording])
    asked = case.ask()
    assert (len(case.posts), len(case.spare_posts)) == (1, 0)
    assert asked.status == 400
    assert asked.body.encode() == CONTEXT_TOO_LONG[wording].body
    record = case.record()
    assert (record["outcome"], record["attempts"], record["charges"]) == ("client_error", 1, [])


@pytest.mark.parametrize("wording", CONTEXT_TOO_LONG)
@both
def test_s12_the_next_larger_tier_answers_where_one_is_configured(
    bench: FaultBench, run: str, stream: bool, wording: str
) -> None:
    """S12, 400 context_length_exceeded and an escalation: exactly one try here, then the larger tier."""
    case = bench.case("s12-larger", stream=stream, run=run)
    case.always(CONTEXT_TOO_LONG[wording])
    asked = case.ask()
    asked.check_good()
    assert (len(case.posts), len(case.spare_posts)) == (1, 1)
    case.check_served(asked, by=SPARE, reason="escalation")
    check_not_billed(case)


@both
def test_s12_a_prompt_that_surely_does_not_fit_goes_to_the_larger_tier_at_once(
    bench: FaultBench, run: str, stream: bool
) -> None:
    """S12 before the endpoint must say so: four times the tier's context, and nobody there is asked."""
    case = bench.case("s12-larger", stream=stream, run=run)
    asked = case.ask(messages=[{"role": "system", "content": "alpha " * 2_000}, *HELLO])
    asked.check_good()
    assert (len(case.posts), len(case.spare_posts)) == (0, 1)
    case.check_served(asked, by=SPARE, reason="escalation")


@both
def test_s13_a_content_filter_is_not_routed_around(bench: FaultBench, run: str, stream: bool) -> None:
    """S13, 400 content filter: one try, and the reason is passed on as it came."""
    case = bench.case("s13", stream=stream, run=run)
    case.always(CONTENT_FILTER)
    asked = case.ask()
    assert (len(case.posts), len(case.spare_posts)) == (1, 0)
    assert asked.status == 400
    assert asked.body.encode() == CONTENT_FILTER.body
    assert case.record()["outcome"] == "client_error"
    with case.sdk() as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=case.name, messages=[{"role": "user", "content": "hello"}], stream=stream)
    assert caught.value.code == "content_filter"


@both
def test_s16_the_fallback_is_named_and_paid_and_failed_tries_are_not(bench: FaultBench, run: str, stream: bool) -> None:
    """S16, 503, then the fallback answers: report the fallback's model and usage; failed tries unbilled."""
    case = bench.case("s16", stream=stream, run=run)
    case.always(Behaviour(status=503))
    case.spare.default = Behaviour(prompt_tokens=321)
    asked: Asked = case.ask()
    asked.check_good()
    assert {event["model"] for event in asked.events} == {SPARE_MODEL}
    assert asked.usage["prompt_tokens"] == 321
    record = case.check_served(asked, by=SPARE, reason="fallback")
    assert record["attempts"] == len(case.posts) + 1
    assert record["endpoint"] == f"{SPARE}/0"
    check_not_billed(case)
