from typing import Any

import pytest

from bench import figures
from bench.aims import AIMS, TIMES, Aim, Verdict


def row(target: str, scenario: str, **fields: float) -> dict[str, Any]:
    return {"target": target, "scenario": scenario, **fields}


RACE = {
    "race": {
        "rows": [
            row("tiergate", "json_c64", cpu_us=50, rss=70),
            row("tiergate", "json_c64", cpu_us=54, rss=72),
            row("tiergate", "json_c64", cpu_us=52, rss=71),
            row("litellm", "json_c64", cpu_us=10_400),
            row("direct", "think50_c64", p50=50.5),
            row("tiergate", "think50_c64", p50=51.25),
        ]
    }
}


def test_ratios_are_of_medians() -> None:
    assert figures.cpu_ratio(RACE, "json_c64", "litellm", "tiergate") == 200


def test_added_latency_is_against_the_endpoint_alone() -> None:
    assert figures.added(RACE, "think50_c64", "p50") == 0.75


def test_memory_is_the_highest() -> None:
    assert figures.rss(RACE) == 72


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.8, Verdict.BEST), (0.81, Verdict.MET), (1.2, Verdict.MET), (1.204, Verdict.MISSED), (None, Verdict.UNKNOWN)],
)
def test_a_figure_is_judged_as_it_is_measured_not_as_it_is_written(value: float | None, verdict: Verdict) -> None:
    aim = Aim(title="", digits=1, unit=TIMES, must=1.2, best=0.8, value=lambda _: value)
    assert aim.verdict({}) is verdict


@pytest.mark.parametrize(("value", "verdict"), [(200, Verdict.BEST), (100, Verdict.MET), (99.9, Verdict.MISSED)])
def test_some_bounds_are_lower_ones(value: float, verdict: Verdict) -> None:
    aim = Aim(title="", digits=0, must=100, best=200, least=True, value=lambda _: value)
    assert aim.verdict({}) is verdict
    assert aim.bound(aim.must) == "≥ 100"


def test_what_was_not_measured_is_said_to_be_so() -> None:
    assert {aim.verdict({}) for aim in AIMS} == {Verdict.UNKNOWN}
    assert {aim.written({}) for aim in AIMS} == {""}


def test_a_lost_stream_and_a_batched_token_count_as_broken() -> None:
    found = {"streams": 5000, "through": {"complete": 4999, "batched": 2}}
    assert figures.lost_streams({"streams": found}) == 3


def test_wrong_answers_are_counted_in_both_parts() -> None:
    results = {"isolation": {"ok": 9, "bad": 1, "errors": 0}, "soak": {"calls": {"ok": 9, "left": 5, "lost": 2}}}
    assert figures.wrong_answers(results) == 3


def test_growth_within_its_error_is_none() -> None:
    judged = {"slope": 9.0, "error": 5.0, "flat": True}
    assert figures.growth({"soak": {"rss_kib_per_minute": judged}}, "rss_kib_per_minute") == 0
    assert figures.growth({"soak": {"rss_kib_per_minute": judged | {"flat": False}}}, "rss_kib_per_minute") == 9
