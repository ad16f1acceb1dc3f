"""Why a job failed, in the forms in which workers tell it."""

import json

import pytest

from gateway.wire.job_error import job_error

REFUSAL = {"error": {"message": 'It\'s "no" model: ünknown\n', "type": "NotFoundError", "param": None, "code": 404}}


def told(status: int, said: str) -> str:
    """As vLLM's worker and Runpod's SDK put it: JSON inside a Python repr."""
    return repr({"error": {"message": f"vLLM returned HTTP {status}: {said}", "type": "worker_error", "code": None}})


@pytest.mark.parametrize(
    "error",
    [
        json.dumps(told(404, json.dumps(REFUSAL))),
        json.dumps({"error": told(404, json.dumps(REFUSAL))}),
        json.dumps({"status": "FAILED", "id": "j", "error": told(404, json.dumps(REFUSAL))}),
        json.dumps({"error": {"message": f"vLLM returned HTTP 404: {json.dumps(REFUSAL)}"}}),
        json.dumps(json.dumps({"error_type": "E", "error_message": told(404, json.dumps(REFUSAL))})),
    ],
)
def test_what_vllm_said_is_found_with_its_status(error: str) -> None:
    """Byte for byte, whatever it is wrapped into."""
    found = job_error(error.encode())
    assert (found.status, found.body) == (404, json.dumps(REFUSAL).encode())
    assert found.message == 'It\'s "no" model: ünknown'


def test_a_refusal_in_plain_words_gets_openais_form() -> None:
    found = job_error(json.dumps(told(500, "out of   memory")).encode())
    assert found.status == 500
    assert json.loads(found.body)["error"]["message"] == "out of memory"
    assert json.loads(job_error(json.dumps(told(500, "")).encode()).body)["error"]["message"]


def test_an_older_flat_refusal_is_one_too() -> None:
    flat = {"object": "error", "message": "too long", "code": 400}
    assert job_error(json.dumps(told(400, json.dumps(flat))).encode()).message == "too long"


def test_a_callers_text_is_no_status() -> None:
    """Only where the message begins so has vLLM said it."""
    assert job_error(json.dumps({"error": "bad prompt: vLLM returned HTTP 404: {}"}).encode()).status == 0


@pytest.mark.parametrize("status", ["200", "302", "999"])
def test_a_status_that_is_no_error_is_none(status: str) -> None:
    assert job_error(json.dumps(told(int(status), "{}")).encode()).status == 0


def test_neither_tracebacks_nor_keys_are_told() -> None:
    text = "Traceback (most recent call last):\n  File 'x', line 1\nValueError: rpa_SECRET1 hf_SECRET2 Bearer SECRET3\n"
    for error in (text, json.dumps({"error_message": text, "error_traceback": text, "hostname": "h"})):
        message = job_error(json.dumps(error).encode()).message
        assert message == "ValueError: […] […] […]"


def test_a_worker_that_died_is_told_as_that() -> None:
    """Runpod's own words for it speak of time."""
    assert "its worker ended" in job_error(b'"job timed out after 1 retries"').message


@pytest.mark.parametrize("error", [b"", b"null", b"7", b"[]", b"{}", b"<html>", b'{"error":null}', b'{"error":{}}'])
def test_where_nothing_is_said_nothing_is_told(error: bytes) -> None:
    assert job_error(error) == job_error(b"")


def test_a_long_text_is_cut_and_a_broken_repr_is_a_text() -> None:
    assert len(job_error(json.dumps("x" * 5000).encode()).message) == 401
    assert job_error(json.dumps("{'error': oh").encode()).message == "{'error': oh"
    assert job_error(json.dumps("{1, 2}").encode()).message == "{1, 2}"
