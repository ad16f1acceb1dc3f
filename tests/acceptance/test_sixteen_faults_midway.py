"""Of the sixteen faults those that strike when the answer has begun: S08 to S11, and S14.

A tier that continues streams has two endpoints of the same model here; whichever is asked first breaks. A tier that
does not has one, and nowhere to go. See ``test_sixteen_faults.py`` for the others and for how times are scaled.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.acceptance.conftest import KEY
from tests.acceptance.fault_bench import HELLO, LONG, MODES, WORDS, Asked, FaultBench, FaultCase, Faulty, running
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import Behaviour

pytestmark = pytest.mark.acceptance

both = pytest.mark.parametrize("stream", [False, True], ids=MODES)
IDLE: dict[str, Any] = {"timeouts": {"idle": "300ms"}}
FAULTS = {
    "s08": Faulty(endpoints=2, lonely=True, settings={"continue": True}),
    "s08-sdk": Faulty(endpoints=2, lonely=True, settings={"continue": True}),
    "s08-alone": Faulty(settings={"breaker": {"failures": 100}}),  # it breaks in every one of its tests
    "s09": Faulty(endpoints=2, lonely=True, settings={"continue": True, **IDLE}),
    "s09-alone": Faulty(settings=IDLE),
    "s10": Faulty(endpoints=2, lonely=True, settings={"continue": True}),
    "s10-alone": Faulty(settings={}),
    "s11": Faulty(settings={}),
    "s11-open": Faulty(settings=IDLE),
    "s14": Faulty(endpoints=2, lonely=True, settings={"continue": True}),
}
WELL = Behaviour(text=LONG)
SECONDS_MAX = 3.0
BROKEN_AT = 40
PACE_SECONDS = 0.002
"""Between tokens, so that the answer has begun at the client when it breaks."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[FaultBench]:
    with running(FAULTS, tmp_path_factory.mktemp("midway"), gateway_python) as opened:
        yield opened


@pytest.fixture(autouse=True)
def gateway(bench: FaultBench) -> Iterator[GatewayProcess]:
    """Whatever happens, the gateway serves afterwards."""
    yield bench.gateway
    bench.check_well()


def dying(**fault: Any) -> Behaviour:  # noqa: ANN401 -- fields of Behaviour
    """The sixty tokens, and a fault."""
    return Behaviour(text=LONG, pace_seconds=PACE_SECONDS, **fault)


def check_made_whole(case: FaultCase, asked: Asked) -> None:
    """The caller has one whole answer that two endpoints made; what was worked is accounted to who worked.

    A stream was continued there from where it broke off, and both are paid; a whole answer of which nothing had
    reached the caller was made anew, and only who made it is.
    """
    asked.check_good(LONG)
    first, second = case.posts
    record = case.record()
    assert (record["outcome"], record["attempts"], record["status"]) == ("ok", 2, 200)
    assert record["output_tokens"] == WORDS
    charged = [charge["endpoint"] for charge in record["charges"]]
    if not case.stream:
        assert second.json() == first.json()
        case.check_served(asked, by=case.name, reason="retry", owed=True)
        return
    assert record["reason"] == "continuation"
    assert sorted(charged) == [f"{case.name}/0", f"{case.name}/1"]
    assert asked.headers["x-tiergate-endpoint"] == charged[0]
    assert asked.body.count(f": tiergate continued on {charged[1]}\n") == 1
    assert [one["delta"]["role"] for one in asked.choices if one["delta"].get("role")] == ["assistant"]
    body = second.json()
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["messages"][:-1] == HELLO
    assert body["messages"][-1]["role"] == "assistant"
    assert LONG.startswith(body["messages"][-1]["content"])


@both
def test_s08_an_answer_that_breaks_off_is_made_whole(bench: FaultBench, run: str, stream: bool) -> None:
    """S08, dies at token 40 of 60: the whole answer, continued where the same model is served elsewhere."""
    case = bench.case("s08", stream=stream, run=run)
    case.script(dying(cut_after=BROKEN_AT), WELL)
    asked = case.ask()
    check_made_whole(case, asked)
    assert asked.seconds < SECONDS_MAX


@both
def test_s08_the_sdk_sees_one_answer(bench: FaultBench, run: str, stream: bool) -> None:
    """S08 by OpenAI's SDK: one stream with one finish reason and one usage, or one whole answer."""
    case = bench.case("s08-sdk", stream=stream, run=run)
    case.script(dying(reset_after=BROKEN_AT), WELL)
    with case.sdk() as client:
        if not stream:
            answer = client.chat.completions.create(model=case.name, messages=HELLO)
            assert answer.choices[0].message.content == LONG
            return
        options: Any = {"include_usage": True}
        with client.chat.completions.stream(model=case.name, messages=HELLO, stream_options=options) as events:
            final = events.get_final_completion()
    assert final.choices[0].message.content == LONG
    assert final.choices[0].finish_reason == "stop"
    assert final.usage is not None
    assert final.usage.completion_tokens == WORDS


@pytest.mark.parametrize("fault", ["cut_after", "reset_after", "end_after"])
def test_s08_a_stream_that_cannot_be_continued_ends_with_an_error(bench: FaultBench, run: str, fault: str) -> None:
    """S08 where there is nothing to continue with, however it breaks: an explicit error, no [DONE], no replay."""
    case = bench.case("s08-alone", stream=True, run=run)
    case.always(dying(**{fault: BROKEN_AT}))
    asked = case.ask()
    asked.check_broken("upstream_failed")
    assert (len(case.posts), len(case.spare_posts)) == (1, 0)
    record = case.record()
    assert (record["outcome"], record["error"]) == ("upstream_error", "upstream_failed")
    assert [charge["tier"] for charge in record["charges"]] == [case.name]
    assert 0 < record["output_tokens"] <= BROKEN_AT


def test_s08_no_caller_takes_a_broken_stream_for_a_whole_one(bench: FaultBench, run: str) -> None:
    """S08: the SDK raises; a plain client reads an orderly end of HTTP with the error as its last event."""
    case = bench.case("s08-alone", stream=True, run=run)
    case.always(dying(cut_after=BROKEN_AT))
    with case.sdk() as client:
        stream = client.chat.completions.create(model=case.name, messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="endpoint"):
            list(stream)
    body = {"model": case.name, "messages": HELLO, "stream": True}
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.stream("POST", f"{case.gateway.url}/chat/completions", json=body, headers=headers) as response:
        lines = [line for line in response.iter_lines() if line]
    assert '"error"' in lines[-1]
    assert not any("[DONE]" in line or '"finish_reason":"' in line for line in lines)


def test_s08_a_whole_answer_that_dies_alone_is_made_anew(bench: FaultBench, run: str) -> None:
    """S08 with a single endpoint: nothing reached the caller, so the same endpoint is asked again."""
    case = bench.case("s08-alone", stream=False, run=run)
    case.script(dying(cut_after=BROKEN_AT), WELL)
    asked = case.ask()
    asked.check_good(LONG)
    assert case.check_served(asked, by=case.name, reason="retry", owed=True)["attempts"] == 2


@both
def test_s09_an_answer_that_falls_silent_is_made_whole(bench: FaultBench, run: str, stream: bool) -> None:
    """S09, silent for 30 s (here for ever, and 0.3 s are allowed): notice, go on elsewhere, free the endpoint."""
    case = bench.case("s09", stream=stream, run=run)
    case.script(dying(stall_after=BROKEN_AT), WELL)
    asked = case.ask()
    check_made_whole(case, asked)
    assert 0.3 <= asked.seconds < SECONDS_MAX
    case.gateway.wait_until(lambda: case.posts[0].closed_early)


@both
def test_s09_silence_is_noticed_where_there_is_nowhere_to_go(bench: FaultBench, run: str, stream: bool) -> None:
    """S09 with a single endpoint: a stream ends with an error in time, of a whole answer nothing is shown."""
    case = bench.case("s09-alone", stream=stream, run=run)
    case.always(dying(stall_after=BROKEN_AT))
    asked = case.ask()
    assert asked.seconds < SECONDS_MAX
    assert len(case.posts) == 1
    case.upstream.wait_until(lambda: case.posts[0].closed_early)
    if stream:
        asked.check_broken("upstream_timeout")
        assert case.record()["outcome"] == "timeout"
    else:
        asked.check_good()
        assert asked.reason == "fallback"


@both
def test_s10_a_garbled_event_is_not_passed_on_and_the_answer_made_whole(
    bench: FaultBench, run: str, stream: bool
) -> None:
    """S10, one garbled event: nothing of it is seen; the rest comes from elsewhere."""
    case = bench.case("s10", stream=stream, run=run)
    case.script(dying(garble_at=BROKEN_AT), WELL)
    check_made_whole(case, case.ask())


@both
def test_s10_a_garbled_event_fails_cleanly_where_there_is_nowhere_to_go(
    bench: FaultBench, run: str, stream: bool
) -> None:
    """S10 with a single endpoint: a stream ends with an error, a whole answer is made anew; alive after."""
    case = bench.case("s10-alone", stream=stream, run=run)
    case.script(dying(garble_at=BROKEN_AT), WELL)
    asked = case.ask()
    if stream:
        asked.check_broken("upstream_failed")
        assert len(case.posts) == 1
    else:
        asked.check_good(LONG)
        case.check_served(asked, by=case.name, reason="retry", owed=True)
    case.run = f"{run}-after"
    case.always(WELL)
    again = case.ask()
    again.check_good(LONG)


@both
def test_s11_a_missing_end_mark_is_no_loss(bench: FaultBench, run: str, stream: bool) -> None:
    """S11, no [DONE] (a whole answer: no length, its end is the connection's): finish soon, usage present."""
    case = bench.case("s11", stream=stream, run=run)
    case.script(Behaviour(done=False) if stream else Behaviour(close_delimited=True))
    asked = case.ask()
    asked.check_good()
    assert asked.seconds < SECONDS_MAX
    assert len(case.posts) == 1
    case.check_served(asked, by=case.name, reason="tier")


def test_s11_an_answer_that_is_complete_does_not_wait_for_its_end_for_ever(bench: FaultBench, run: str) -> None:
    """S11, no [DONE] and the connection stays open: finish within the idle timeout (here 0.3 s), usage present."""
    case = bench.case("s11-open", stream=True, run=run)
    case.script(Behaviour(done=False, stall_after=9))
    asked = case.ask()
    asked.check_good()
    assert asked.seconds < SECONDS_MAX
    case.check_served(asked, by=case.name, reason="tier")


@both
def test_s14_a_refused_continuation_is_never_surfaced(bench: FaultBench, run: str, stream: bool) -> None:
    """S14, cut, and the other endpoint takes no unfinished message: the original break, never the 400.

    For a whole answer nothing is continued: the other endpoint is asked as the first was, and answers.
    """
    case = bench.case("s14", stream=stream, run=run)
    case.always(Behaviour(text=LONG, refuses_prefill=True))
    case.script(dying(cut_after=BROKEN_AT))
    asked = case.ask()
    assert "prefill" not in asked.body
    if not stream:
        check_made_whole(case, asked)
        return
    asked.check_broken("upstream_failed")
    record = case.record()
    assert record["status"] != 400
    assert (record["outcome"], record["error"]) == ("upstream_error", "upstream_failed")
    refused = [charge for charge in record["charges"] if charge["endpoint"] != asked.headers["x-tiergate-endpoint"]]
    assert refused == []
