import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers.samples import FILE, WHOLE, changed, problems
from tiers.load import load
from tiers.price import ListedPrice, TokenPrice
from tiers.problems import Refused, TierMapInvalid
from tiers.tiermap import TierMap

TEN_PROBLEMS = """\
version: 1
stor: embedded
tiers:
  routing:
    model: meta-llama/Llama-3.1-70B-Instruct
    gpu: RTX 4090
    endpoints:
      - url: ftp://127.0.0.1/v1
        api_key: sk-literal-secret
    context: 1000
    output: 2000
    slots: 0
    fallback: [resoning]
  gemini-fast:
    model: small
    endpoints: [{url: "http://127.0.0.1/v1"}]
    context: 10
    slots: 1
  gemini-fast: {}
routes:
  - {name: default, tier: routing}
  - {name: never, tier: routing}
budgets:
  - {name: daily, owner: {tier: nowhere}, limit: $5, window: 1d}
keys:
  - {name: demo, key: hunter2-secret}
"""


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    """Of the text, the schema, the references and the arithmetic together; no secret is among them."""
    found = problems(TEN_PROBLEMS)
    assert [(each.line, each.field) for each in found] == [
        (2, "stor"),
        (6, "tiers.routing.gpu"),
        (8, "tiers.routing.endpoints[0].url"),
        (9, "tiers.routing.endpoints[0].api_key"),
        (11, "tiers.routing.output"),
        (12, "tiers.routing.slots"),
        (13, "tiers.routing.fallback[0]"),
        (14, "tiers.gemini-fast"),
        (14, "tiers.gemini-fast"),
        (19, "tiers.gemini-fast"),
        (22, "routes[1]"),
        (24, "budgets[0].owner.tier"),
        (24, "budgets[0].limit"),
        (26, "keys[0].key"),
    ]
    told = "".join(map(str, found))
    assert "sk-literal" not in told
    assert "hunter2" not in told


def test_a_whole_map_loads_from_text_and_from_bytes() -> None:
    assert load(WHOLE, file=FILE) == load(WHOLE.encode(), file=FILE)


def test_the_error_reads_as_one_line_per_problem() -> None:
    with pytest.raises(TierMapInvalid) as caught:
        load(changed("slots: 24", "slots: 0").replace("slots: 8", "slots: 0"), file="my/tiers.yaml")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == ["my/tiers.yaml:12:5", "my/tiers.yaml:20:5"]


def test_a_problem_in_the_text_hides_only_what_cannot_be_read() -> None:
    found = problems(changed("slots: 24", "slots: 0\n    slots: 24"))
    assert [each.message for each in found] == [
        "must be greater than or equal to 1",
        'the key "slots" is there twice',
    ]


def test_unreadable_text_is_one_problem() -> None:
    [problem] = problems(b"\xff")
    assert (problem.line, problem.column) == (1, 1)


def _loads_or_is_invalid(text: str | bytes) -> None:
    try:
        found = load(text, file=FILE)
    except TierMapInvalid as error:
        invalid = error
    else:
        assert isinstance(found, TierMap)
        return
    assert invalid.problems
    assert all(each.line >= 1 and each.column >= 1 and each.remedy for each in invalid.problems)


@given(st.text() | st.binary() | st.text("[]{}:,-?*&!|>'\"%@` \n\tab1#<", max_size=60))
def test_any_text_loads_or_is_invalid(text: str | bytes) -> None:
    """No text makes load raise anything but TierMapInvalid."""
    _loads_or_is_invalid(text)


@given(
    st.integers(0, len(WHOLE)),
    st.integers(0, 12),
    st.text("[]{}:,-?*&!|>'\"%@` \n\tab1#<0.", max_size=6) | st.text(max_size=3),
)
def test_any_slip_of_the_pen_loads_or_is_invalid(start: int, length: int, slip: str) -> None:
    """A valid map with a few characters changed: no shape of a near-miss breaks a rule."""
    _loads_or_is_invalid(WHOLE[:start] + slip + WHOLE[start + length :])


LISTED = changed('{url: "https://api.openai.com/v1", api_key', "{transport: litellm, api_key").replace(
    "price: {input: 0.15, output: 0.60}", "price: litellm"
)


def test_prices_that_are_left_to_a_list_are_looked_up_by_the_model() -> None:
    price = TokenPrice(input_microdollars=1, output_microdollars=2)
    asked: list[str] = []

    def listed(model: str) -> TokenPrice:
        asked.append(model)
        return price

    assert load(LISTED, file=FILE, listed=listed).tiers["external"].price is price
    assert asked == ["gpt-4o-mini"]


def test_without_a_list_they_stay_open() -> None:
    """Who only deploys or asks pays nothing by them."""
    assert load(LISTED, file=FILE).tiers["external"].price == ListedPrice()


def test_a_price_that_the_list_does_not_have_is_a_problem_with_its_place() -> None:
    def listed(model: str) -> TokenPrice:
        raise Refused(f"no price of {model}", "write it")

    with pytest.raises(TierMapInvalid) as caught:
        load(LISTED, file=FILE, listed=listed)
    [problem] = caught.value.problems
    assert (problem.line, problem.field, problem.message) == (24, "tiers.external.price", "no price of gpt-4o-mini")
