import pytest

from tests.tiers.samples import changed, problems


@pytest.mark.parametrize(
    ("old", "new", "place", "field", "message"),
    [
        ("    gpu: A100 80GB\n", "", (15, 3), "tiers.reasoning", "the tier has no price"),
        (
            "price: {input: 0.15, output: 0.60}",
            "price: {input: 0.15, output: 0.60}\n    gpu: L4",
            (24, 5),
            "tiers.external.price",
            "two prices",
        ),
        (
            "price: {input: 0.15, output: 0.60}",
            "price: litellm",
            (24, 5),
            "tiers.external.price",
            "without an endpoint that LiteLLM calls",
        ),
        (
            '{url: "https://api.openai.com/v1", api_key: file:/run/secrets/openai}',
            "{api_key: file:/run/secrets/openai}",
            (23, 17),
            "tiers.external.endpoints[0]",
            "the endpoint has no url",
        ),
        ("output: 1000", "output: 2001", (26, 5), "tiers.external.output", "longer than the context of 2000"),
        ('owner: {agent: "*"}', "owner: {}", (35, 23), "budgets[1].owner", "exactly one kind of owner"),
        (
            'owner: {agent: "*"}',
            'owner: {agent: "*", run: "*"}',
            (35, 23),
            "budgets[1].owner",
            "exactly one kind of owner",
        ),
        (
            "window: 1d",
            "window: 6h, timezone: Europe/Berlin",
            (34, 82),
            "budgets[0].timezone",
            "a window of 6h begins at multiples of its length since 1970 in UTC",
        ),
        (
            "window: 1d",
            "window: 1d, rolling: true, timezone: Europe/Berlin",
            (34, 97),
            "budgets[0].timezone",
            "a rolling window has no beginning",
        ),
        (
            "keys:\n",
            'limits:\n  - {name: calm, owner: {agent: "*"}}\nkeys:\n',
            (37, 5),
            "limits[0]",
            "the limit bounds nothing",
        ),
        (
            "keys:\n",
            "limits:\n  - {name: calm, owner: {}, concurrency: 1}\nkeys:\n",
            (37, 18),
            "limits[0].owner",
            "a limit has exactly one kind of owner",
        ),
        (", key: env:TIERGATE_DEMO_KEY", "", (37, 5), "keys[0]", "neither key nor hash"),
        (
            "key: env:TIERGATE_DEMO_KEY",
            f"key: env:TIERGATE_DEMO_KEY, hash: {'a' * 64}",
            (37, 5),
            "keys[0]",
            "both key and hash",
        ),
    ],
)
def test_fields_that_contradict_each_other(
    old: str, new: str, place: tuple[int, int], field: str, message: str
) -> None:
    [problem] = problems(changed(old, new))
    assert ((problem.line, problem.column), problem.field) == (place, field)
    assert message in problem.message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("key: env:SAME", "key: env:SAME"),
        (f"hash: {'a' * 64}", f"hash: sha256:{'A' * 64}"),
    ],
)
def test_two_keys_with_one_secret_could_not_be_told_apart(first: str, second: str) -> None:
    text = changed("{name: demo, key: env:TIERGATE_DEMO_KEY}", f"{{name: one, {first}}}\n  - {{name: two, {second}}}")
    [problem] = problems(text)
    assert problem.field.startswith("keys[1].")
    assert problem.message == 'the same secret as that of "one"'


def test_keys_with_other_secrets_are_fine() -> None:
    text = changed("{name: demo,", "{name: more, key: file:/run/key}\n  - {name: demo,")
    assert problems(text) == ()


def test_a_map_without_keys_is_refused_since_every_call_would_be() -> None:
    [problem] = problems(changed("keys:\n  - {name: demo, key: env:TIERGATE_DEMO_KEY}\n", ""))
    assert (problem.field, problem.message) == ("keys", "is missing")


@pytest.mark.parametrize(
    ("old", "new"),
    [("  external:\n", "  other: 3\n  external:\n"), ("key: env:TIERGATE_DEMO_KEY", "key: 3")],
)
def test_what_has_another_shape_is_left_to_the_schema(old: str, new: str) -> None:
    [problem] = problems(changed(old, new))
    assert problem.message.startswith("must be")


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        (
            "context: 32768",
            "context: 16384",
            "tiers.routing.escalation[0]",
            'of "reasoning" is not larger than that of "ro',
        ),
        (
            "[reasoning]",
            "[reasoning, external]",
            "tiers.routing.escalation[1]",
            'of "external" is not larger than that of',
        ),
    ],
)
def test_a_request_escalates_to_ever_larger_contexts(old: str, new: str, field: str, message: str) -> None:
    """So that no tier is tried that cannot hold more than the one before, and there is no way round in circles."""
    text = changed("fallback: [reasoning]", "escalation: [reasoning]")
    assert problems(text) == ()
    [problem] = problems(text.replace(old, new))
    assert problem.field == field
    assert message in problem.message


@pytest.mark.parametrize("names", ["{}", "[3]", "nothing"])
def test_an_escalation_of_another_shape_is_left_to_the_schema(names: str) -> None:
    [problem] = problems(changed("fallback: [reasoning]", f"escalation: {names}"))
    assert problem.message.startswith("must be")


def test_what_litellm_calls_needs_no_url_and_may_leave_its_price_to_the_list() -> None:
    text = changed('{url: "https://api.openai.com/v1", api_key', "{transport: litellm, api_key")
    assert problems(text) == ()
    assert problems(text.replace("price: {input: 0.15, output: 0.60}", "price: litellm")) == ()


@pytest.mark.parametrize("window", ["6", "ever", "2mo"])
def test_a_window_that_cannot_be_read_is_left_to_the_form(window: str) -> None:
    [problem] = problems(changed("window: 1d", f"window: {window}, timezone: Europe/Berlin"))
    assert problem.field == "budgets[0].window"


def test_budgets_of_another_shape_are_left_to_the_form() -> None:
    text = changed("  - {name: reasoning-daily, owner: {tier: reasoning}, limit: 50 USD, window: 1d}\n", "  - daily\n")
    [problem] = problems(text)
    assert (problem.field, problem.message) == ("budgets[0]", "must be a mapping of keys to values")
