import pytest

from tests.tiers.samples import changed, problems


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    slots: 8\n", "", "15:3: tiers.reasoning.slots: is missing — for example `slots: 24`"),
        ("slots: 24", "slots: many", "12:5: tiers.routing.slots: must be a whole number — for example `slots: 24`"),
        ("slots: 24", "slots: 0", "12:5: tiers.routing.slots: must be greater than or equal to 1 — for example"),
        ("version: 1", "version: 2", "1:1: version: must be 1 — for example `version: 1`"),
        ("wait: 30s", "wait: 30", "13:26: tiers.routing.queue.wait: must be text — for example `wait: 30s`"),
        ("{length: 200, wait: 30s}", "[200]", "13:5: tiers.routing.queue: must be a mapping of keys to values"),
        ("[gpt-4.1-mini]", "gpt-4.1-mini", "6:5: tiers.routing.aliases: must be a list — for example `aliases: ["),
        (
            '[{url: "http://127.0.0.1:9101/v1/"}, {url: "http://127.0.0.1:9102/v1"}]',
            "[]",
            "18:5: tiers.reasoning.endpoints: must not be empty — for example `endpoints: [{",
        ),
        ("fallback: [reasoning]", 'fallback: [""]', "14:16: tiers.routing.fallback[0]: must have at least 1 character"),
        (
            '{agent: ["router", "classifier-*"]}',
            "{tools: maybe}",
            "30:32: routes[0].when.tools: must be true or false — for example `tools: true`",
        ),
        (
            "    fallback: [reasoning]",
            "    fallbak: [reasoning]",
            '14:5: tiers.routing.fallbak: unknown key "fallbak" — use one of: model,',
        ),
        ("gpu: RTX 4090", "gpu: RTX 4099", '7:5: tiers.routing.gpu: unknown GPU "RTX 4099" — use one of: RTX A4000,'),
        ("wait: 30s", "wayt: 30s", 'unknown key "wayt" — use one of: length, wait; did you mean "wait"?'),
        ("store: embedded", "stor: embedded", 'did you mean "store"?'),
        (
            "headers: 10s,",
            "first_byte: 10s,",
            'timeouts.first_byte: "first_byte" is now called "headers" — write `headers:` instead',
        ),
        (
            "fallback: [reasoning]",
            "continue: perhaps",
            "14:5: tiers.routing.continue: must be true or false — for example `continue: true`",
        ),
        ("fallback: [reasoning]", "continu: true", 'did you mean "continue"?'),
    ],
)
def test_a_complaint_of_the_schema_says_what_to_write(old: str, new: str, expected: str) -> None:
    assert any(expected in str(problem) for problem in problems(changed(old, new)))


@pytest.mark.parametrize("text", ["- a\n- b", "3", "just text"])
def test_a_document_of_another_shape_is_one_problem(text: str) -> None:
    [problem] = problems(text)
    assert problem.message == "must be a mapping of keys to values"
    assert "reference" in problem.remedy


def test_sections_of_another_shape_are_told_and_nothing_falls_over() -> None:
    found = problems("version: 1\ntiers: [a]\nroutes: {a: 1}\nbudgets: [1, {owner: 3}]\nkeys: [x]\nstore: 3")
    assert {(each.field, each.message) for each in found} >= {
        ("tiers", "must be a mapping of names to values"),
        ("routes", "must be a list"),
        ("budgets[0]", "must be a mapping of keys to values"),
        ("budgets[1].owner", "must be a mapping of keys to values"),
        ("keys[0]", "must be a mapping of keys to values"),
        ("store", "must be text"),
    }


def test_forms_inside_budgets_and_limits_are_found() -> None:
    """Their examples and keys are those of the innermost form."""
    [problem, _] = problems(changed("window: 1d", "window: 1d, alerts: {at: 80%, webhok: env:A}"))
    assert problem.remedy == "for example `webhook: env:BUDGET_WEBHOOK`"
    text = changed("keys:\n", "limits:\n  - {name: calm, owner: {agnt: x}, concurrency: 2}\nkeys:\n")
    assert 'did you mean "agent"?' in problems(text)[1].remedy
    [problem] = problems(changed("slots: 24", "slots: 24\n    outage: open"))
    assert problem.remedy == 'for example `outage: {"open": "0.50 USD"}`'
