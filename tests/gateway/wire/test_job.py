"""Jobs of a Runpod endpoint, as bytes."""

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.job import Asked, accepted, asked, drained, job, run_body, told_tokens, whole

ANSWER = '{"choices":[{"message":{"content":"é \\u00e9 []{}"}}], "usage" : {"completion_tokens": 7}}'


def test_a_request_stands_in_its_job_as_it_is() -> None:
    """Byte for byte: numbers and escapes keep their form."""
    body = b'{"temperature": 1.0, "x":"\\u00e9"}'
    sent = run_body(b"/v1/chat/completions", body, execution_ms=5000, ttl_ms=15000)
    assert body in sent
    assert json.loads(sent) == {
        "input": {"openai_route": "/v1/chat/completions", "openai_input": json.loads(body)},
        "policy": {"executionTimeout": 5000, "ttl": 15000},
    }


@pytest.mark.parametrize(
    ("body", "stream", "bound"),
    [
        (b'{"max_tokens":5}', None, 5),
        (b'{"max_tokens":5,"max_completion_tokens":6,"stream":true}', True, 6),
        (b'{"max_output_tokens":7}', None, 7),
        (b'{"max_tokens":null}', None, None),
        (b'{"max_tokens":"many"}', None, None),
        (b"[", None, None),
    ],
)
def test_what_decides_the_way_is_read_of_a_request(body: bytes, stream: bool | None, bound: int | None) -> None:
    wants = asked(body)
    assert isinstance(wants, Asked)
    assert (wants.stream, wants.bound) == (stream, bound)


def test_an_acceptance_without_an_id_is_none() -> None:
    assert accepted(b'{"id":"a-u1","status":"IN_QUEUE"}') == "a-u1"
    assert accepted(b'{"status":"IN_QUEUE"}') == accepted(b"<html>") == ""


@pytest.mark.parametrize("output", [f"[{ANSWER}]", ANSWER, json.dumps(ANSWER), json.dumps([ANSWER])])
def test_an_answer_is_taken_out_of_its_job_byte_for_byte(output: str) -> None:
    """Whether the handler yielded or returned it, and as an object or a text."""
    told = job(f'{{"status":"COMPLETED","output": {output} ,"delayTime":3,"workerId":"w"}}'.encode())
    assert told is not None
    assert (told.completed, told.open, told.delay_time, told.worker_id) == (True, False, 3, "w")
    assert whole(told.output) == ANSWER.encode()


@pytest.mark.parametrize("output", [b"", b"null", b"[]", b'[null, ""]', b"[", b'"\\ud800"'])
def test_no_output_is_empty(output: bytes) -> None:
    assert whole(msgspec.Raw(output)) == b""


@pytest.mark.parametrize(
    ("status", "is_open", "is_queued"),
    [
        ("IN_QUEUE", True, True),
        ("IN_PROGRESS", True, False),
        ("RUNNING", True, False),
        ("CANCELLED", False, False),
        ("?", False, False),
    ],
)
def test_any_unknown_status_is_an_end(status: str, *, is_open: bool, is_queued: bool) -> None:
    told, stream = job(json.dumps({"status": status}).encode()), drained(json.dumps({"status": status}).encode())
    assert told is not None
    assert stream is not None
    assert (told.open, told.queued, told.completed) == (is_open, is_queued, False)
    assert (stream.open, stream.queued, stream.text()) == (is_open, is_queued, b"")


def test_what_cannot_be_read_is_none() -> None:
    assert (job(b"<html>"), drained(b"<html>"), job(b"[]")) == (None, None, None)


@given(text=st.text(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_however_a_stream_is_cut_its_pieces_make_the_same_bytes(text: str, cuts: list[int]) -> None:
    """By ``/stream``, over several looks, and by the completed job's output."""
    text = text.encode("utf-8", "ignore").decode()
    ends = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(ends)]
    looks = [drained(json.dumps({"status": "IN_PROGRESS", "stream": [{"output": each}]}).encode()) for each in pieces]
    assert b"".join(each.text() for each in looks if each is not None) == text.encode()
    assert whole(msgspec.Raw(json.dumps(pieces).encode())) == text.encode()


def test_the_tokens_of_an_answer_are_found_in_its_end() -> None:
    assert told_tokens(ANSWER.encode()) == 7
    assert told_tokens(b'{"usage":{"output_tokens":9}}') == 9
    assert told_tokens(b"{}") == 0
