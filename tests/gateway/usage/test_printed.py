"""Counts as text."""

import json

from gateway.usage.printed import printed
from gateway.usage.tally import Sums

ROWS = [{"agent": "=1+1", "tier": ""} | Sums().shown(), {"agent": "a\x1b[2J,b", "tier": "routing"} | Sums().shown()]
BY = ("agent", "tier")


def test_a_table_is_aligned_and_tells_a_terminal_nothing() -> None:
    head, first, second = printed(BY, ROWS, "table").splitlines()
    assert head.index("requests") + len("requests") == first.index(" 0") + 2
    assert first.split()[:3] == ["=1+1", "-", "0"]
    assert "\x1b" not in second


def test_csv_has_no_formula() -> None:
    text = printed(BY, ROWS, "csv").splitlines()
    assert text[0].startswith("agent,tier,requests,refused")
    assert text[1].startswith("'=1+1,,0,0")
    assert text[2].startswith('"a\x1b[2J,b",routing')


def test_json_lines_are_the_rows() -> None:
    assert [json.loads(line) for line in printed(BY, ROWS, "jsonl").splitlines()] == ROWS
    assert printed(BY, [], "jsonl") == ""
