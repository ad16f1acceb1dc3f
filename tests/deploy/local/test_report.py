"""The report, line by line as people read it."""

import io

import pytest
from rich.console import Console, RenderableType

from deploy.local.answers import Balance, CallRecord, FlowResult, RunpodTrace
from deploy.local.report import (
    Serving,
    broken,
    budgets_table,
    calls_table,
    flow_report,
    report_console,
    serving,
    span,
)

CALL = CallRecord(
    request_id="req-1",
    agent="triage_agent",
    step="classify",
    tier="routing",
    endpoint="routing/0",
    reason="tier",
    outcome="ok",
    queue_delay_seconds=0.004,
    time_to_first_token_seconds=0.421,
    duration_seconds=1.234,
    input_tokens=312,
    output_tokens=24,
    cost_microdollars=382,
)
REFUSED = CALL.model_copy(
    update={
        "agent": "technical_diagnostician",
        "step": "diagnose_technical_problem",
        "tier": "reasoning",
        "endpoint": "",
        "reason": "route:long prompts",
        "outcome": "budget_exhausted",
        "queue_delay_seconds": None,
        "time_to_first_token_seconds": None,
        "cost_microdollars": 1_234_567,
    }
)


def lines(renderable: RenderableType, width: int = 120) -> list[str]:
    """What is printed into a pipe, without the blanks that fill lines up."""
    shown = io.StringIO()
    Console(file=shown, width=width).print(renderable)
    return [line.rstrip() for line in shown.getvalue().splitlines()]


def _heading(title: str, width: int = 120) -> str:
    return f"{title} ".ljust(width, "─")


def test_calls_are_listed_with_their_totals() -> None:
    """A call that woke a worker, and one to a server that does not sleep."""
    woke = CALL.model_copy(update={"runpod": RunpodTrace(cold=True, held_seconds=0.5, worker_delay_seconds=61.25)})
    assert lines(calls_table([woke, CALL], 120)) == [
        "",
        _heading("LLM calls, from the gateway's records"),
        "                                               queue worker  cold first dura- tokens tokens     cost",
        "agent        step     tier    endpoint  reason delay  delay start token  tion     in    out      USD outcome",
        "────────────────────────────────────────────────────────────────────────────────────────────────────────────",
        "triage_agent classify routing routing/0 tier    0.00  61.25 61.75  0.42  1.23    312     24 0.000382 ok",
        "triage_agent classify routing routing/0 tier    0.00      -     -  0.42  1.23    312     24 0.000382 ok",
        "",
        "2 calls                                                                  2.47    624     48 0.000764 2 ok",
    ]


def test_long_names_are_broken_at_their_separators_and_nothing_is_cut_off() -> None:
    """At 120 columns; moments that never came show as a dash."""
    assert lines(calls_table([REFUSED], 120))[5:9] == [
        (
            "technical_    diagnose_  reasoning -        route:long     -      -     -     -  1.23    312     24 "
            "1.234567 budget_"
        ),
        f"{'diagnostician technical_':<44}{'prompts':<65}exhausted",
        "              problem",
        "",
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_every_part_of_every_cell_shows_at_any_width(width: int) -> None:
    """A narrow terminal makes lines longer, never cells shorter."""
    shown = lines(calls_table([CALL, REFUSED], width), width)
    assert max(map(len, shown)) <= width
    assert "…" not in "".join(shown)
    letters = sorted("".join("".join(shown).split()))
    wide = sorted("".join("".join(lines(calls_table([CALL, REFUSED], 400), 400)).split()))
    assert [letter for letter in letters if letter != "─"] == [letter for letter in wide if letter != "─"]


def test_budgets_show_what_is_left_in_their_unit() -> None:
    money = Balance(
        budget="reasoning-daily",
        owner="reasoning",
        unit="USD",
        limit=5_000_000,
        settled=1_234,
        held=0,
        available=4_998_766,
        window_ends_in_seconds=80_000,
    )
    tokens = money.model_copy(
        update={"budget": "per-agent", "owner": "triage_agent", "unit": "tokens", "limit": 200_000}
    )
    assert lines(budgets_table([money, tokens])) == [
        "",
        _heading("What is left of each budget"),
        "budget          owner                 limit      settled         held        available window ends in",
        "─────────────────────────────────────────────────────────────────────────────────────────────────────",
        "reasoning-daily reasoning      5.000000 USD 0.001234 USD 0.000000 USD     4.998766 USD    22 h 13 min",
        "per-agent       triage_agent 200,000 tokens 1,234 tokens     0 tokens 4,998,766 tokens    22 h 13 min",
    ]


def test_no_budget_is_said_in_words() -> None:
    assert lines(budgets_table([]))[-1] == "no budget of the tier map has been used in its current window"


def test_the_flows_report_is_shown_as_it_is() -> None:
    """Square brackets are text, not markup."""
    result = FlowResult(run="r-1", flow="Triage", status="completed", seconds=12.34, output="Hi [bold]x[/]\n")
    assert lines(flow_report(result)) == ["", _heading("Triage, run r-1: completed in 12.3 s"), "Hi [bold]x[/]"]


def test_a_structured_output_is_shown_as_json() -> None:
    assert lines(flow_report(FlowResult(output={"reply": "Grüße"})))[1:] == [
        _heading("Flow, run -: - in 0.0 s"),
        "{",
        '  "reply": "Grüße"',
        "}",
    ]


def test_what_is_to_be_copied_stays_on_its_line() -> None:
    """Even where the terminal is narrower."""
    facts = Serving(
        origin="http://127.0.0.1:8080",
        key="tg-key",
        model="routing",
        again="curl http://127.0.0.1:8090/lb/" + "x" * 90,
        emulator="http://127.0.0.1:8090/emulator/state",
        asleep_after=60,
        logs=".tiergate/logs",
    )
    shown = io.StringIO()
    Console(file=shown, width=60).print(serving(facts), soft_wrap=True)
    assert [line.rstrip() for line in shown.getvalue().splitlines()][2:] == [
        "OpenAI API   http://127.0.0.1:8080/v1",
        "API docs     http://127.0.0.1:8080/docs",
        "metrics      http://127.0.0.1:8080/metrics",
        "emulator     http://127.0.0.1:8090/emulator/state",
        "logs         .tiergate/logs",
        "",
        "Try it:",
        "  curl http://127.0.0.1:8080/v1/chat/completions -H 'authorization: Bearer tg-key' \\",
        (
            "    -H 'content-type: application/json' -d "
            '\'{"model": "routing", "messages": [{"role": "user", "content": "Say hello."}]}\''
        ),
        "",
        "Run the Flow again:",
        "  curl http://127.0.0.1:8090/lb/" + "x" * 90,
        "",
        "Workers that have had nothing to do for 60 s go to sleep; the next call wakes one.",
        "",
        "Ctrl-C stops everything.",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (59.6, "1 min 0 s"),
        (45, "45 s"),
        (3311, "55 min 11 s"),
        (80_000, "22 h 13 min"),
        (90_000 * 30, "31 d 6 h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("name", "pieces"),
    [("a_b", "a_b"), ("long_name-x", "long_\nname-x"), ("inseparable", "inseparable"), ("", "")],
)
def test_a_name_is_broken_only_at_a_separator(name: str, pieces: str) -> None:
    assert broken(name, 6) == pieces


class Terminal(io.StringIO):
    """Looks like a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_pipe_gets_a_width_that_fits_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets its own."""
    monkeypatch.setenv("COLUMNS", "77")
    assert (report_console(Terminal()).width, report_console(io.StringIO()).width) == (77, 120)
