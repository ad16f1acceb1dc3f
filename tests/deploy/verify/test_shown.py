"""Findings for people and for programs."""

import json

from deploy.verify.finding import Finding
from deploy.verify.shown import as_json, in_order, line, summary

PASSED = Finding(layer="endpoint", subject="a/0", check="there", verdict="passed", evidence=("seen",), seconds=1.25)
SKIPPED = Finding(layer="gateway", subject="", check="ready", verdict="skipped", evidence=("none named",))
FAILED = Finding(
    layer="endpoint",
    subject="b/0",
    check="a worker",
    verdict="failed",
    evidence=("1 unhealthy", "w1: it broke"),
    cause="crash_loop",
    remedy="read its log",
)


def test_a_failure_shows_what_was_seen_and_what_to_do() -> None:
    assert line(FAILED).splitlines() == [
        "FAILED  endpoint b/0: a worker [crash_loop]",
        "        1 unhealthy",
        "        w1: it broke",
        "        what to do: read its log",
    ]


def test_the_rest_is_a_line_each() -> None:
    assert line(PASSED) == "ok      endpoint a/0: there (seen, 1.2 s)"
    assert line(SKIPPED) == "skipped gateway: ready (none named)"


def test_the_last_line_says_where_to_begin() -> None:
    assert summary([SKIPPED, FAILED, PASSED]) == "1 passed, 1 failed, 1 skipped; begin with endpoint b/0"
    assert summary([PASSED]) == "1 passed, 0 failed, 0 skipped"


def test_programs_get_all_of_it_from_the_lowest_layer_on() -> None:
    told = json.loads(as_json([SKIPPED, FAILED, PASSED]))
    assert [each["subject"] for each in told["findings"]] == ["a/0", "b/0", ""]
    assert told["passed"] is False
    assert in_order([FAILED, PASSED]) == [PASSED, FAILED]
