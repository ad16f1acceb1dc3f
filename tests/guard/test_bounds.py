"""How figures are held against their bounds, and how bounds are renewed."""

from pathlib import Path

import pytest

from tests.guard.bounds import KINDS, MARGIN, Bound, Interpreter, judge, read, renewed, written

HERE = Interpreter(minor="3.11", machine="x86_64", build="CPython 3.11.7, GCC 12.2.0")
BOUNDS = {HERE.name: Bound(build=HERE.build, measured={"json": 100_000, "stream": 1_000_000})}
MOST = {"json": 105_000, "stream": 1_050_000}


def test_figures_up_to_their_bound_are_good() -> None:
    verdict = judge(BOUNDS, HERE, MOST)
    assert verdict.good
    assert [line[:4] for line in verdict.lines] == ["ok  ", "ok  "]


@pytest.mark.parametrize("kind", list(KINDS))
def test_one_instruction_above_a_bound_fails_and_says_which_and_by_how_much(kind: str) -> None:
    verdict = judge(BOUNDS, HERE, {**MOST, kind: MOST[kind] + 1})
    assert not verdict.good
    (line,) = [line for line in verdict.lines if line.startswith("FAIL")]
    assert KINDS[kind] in line
    assert f"{MOST[kind] + 1:,} instructions, at most {MOST[kind]:,} (+5.0%" in line
    assert "--renew" in verdict.lines[-1]


def test_a_python_without_bounds_fails_and_is_told_what_to_do() -> None:
    """Else the guard would be silent from the day on which somebody moves to another Python."""
    other = Interpreter(minor="3.14", machine="x86_64", build="CPython 3.14.0, GCC 14")
    verdict = judge(BOUNDS, other, MOST)
    assert not verdict.good
    text = "\n".join(verdict.lines)
    assert "no bounds for python-3.14-x86_64, only for python-3.11-x86_64" in text
    assert "105,000" in text
    assert "--renew" in text
    assert "only for none" in judge({}, other, MOST).lines[0]


def test_the_same_python_on_another_processor_has_no_bounds() -> None:
    assert not judge(BOUNDS, Interpreter(minor="3.11", machine="aarch64", build=HERE.build), MOST).good


def test_a_gain_larger_than_the_margin_asks_for_a_renewal() -> None:
    gained = {"json": 100_000, "stream": round(1_000_000 * (1 - MARGIN)) - 1}
    verdict = judge(BOUNDS, HERE, gained)
    assert verdict.good
    assert "renew" in verdict.lines[-1]


def test_another_build_of_the_same_python_is_judged_and_named() -> None:
    other = Interpreter(minor="3.11", machine="x86_64", build="CPython 3.11.2, GCC 12.2.0")
    verdict = judge(BOUNDS, other, MOST)
    assert verdict.good
    assert "CPython 3.11.7" in verdict.lines[-1]
    assert "CPython 3.11.2" in verdict.lines[-1]


def test_another_build_that_executes_less_does_not_ask_to_tighten_the_bounds() -> None:
    """A build that was optimised would set bounds that no other build keeps."""
    other = Interpreter(minor="3.11", machine="x86_64", build="CPython 3.11.2, GCC 12.2.0")
    verdict = judge(BOUNDS, other, {"json": 1, "stream": 1})
    assert verdict.good
    assert not any("renew" in line for line in verdict.lines)


def test_what_is_written_reads_the_same() -> None:
    more = renewed(BOUNDS, Interpreter(minor="3.9", machine="x86_64", build="b"), {"json": 1, "stream": 2})
    assert read(written(more)) == more
    assert "at most" not in written(more)
    assert written(more).startswith("# ")


def test_renewing_leaves_other_pythons_alone() -> None:
    figures = {"json": 50_000, "stream": 500_000}
    newer = Interpreter(minor="3.12", machine="x86_64", build="CPython 3.12.1, GCC 12.2.0")
    both = renewed(BOUNDS, newer, figures)
    assert both[HERE.name] == BOUNDS[HERE.name]
    assert both[newer.name].measured == figures
    assert renewed(both, HERE, figures)[HERE.name].measured == figures


@pytest.mark.parametrize(
    "text", ["[python-3]\njson = 1\n", '[p]\nbuild = "b"\njson = "many"\nstream = 1\n', "json = 1\n", "[p\n"]
)
def test_a_file_that_is_no_list_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(text)


def test_every_supported_python_has_bounds_in_the_form_that_renewing_writes() -> None:
    text = Path(__file__).with_name("bounds.toml").read_text(encoding="utf-8")
    bounds = read(text)
    assert {f"python-3.{minor}-x86_64" for minor in (11, 12, 13)} <= bounds.keys()
    assert written(bounds) == text
