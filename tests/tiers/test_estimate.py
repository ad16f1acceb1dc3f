import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers.samples import tier
from tiers.estimate import (
    PLAIN,
    Prompt,
    answer_bound,
    billed_seconds,
    likely_prompt_tokens,
    likely_tokens,
    prompt_bound,
    worst_case,
    worst_cost,
)
from tiers.price import GpuPrice, TokenPrice
from tiers.usage import Usage


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (4000, 1000)])
def test_four_bytes_are_likely_a_token(size: int, tokens: int) -> None:
    assert likely_prompt_tokens(size) == likely_tokens(size) == tokens


@pytest.mark.parametrize(
    ("max_output", "choices", "generates", "expected"),
    [
        (None, 1, True, 1000),
        (0, 1, True, 1000),
        (50, 1, True, 50),
        (5000, 1, True, 1000),
        (-1, 1, True, 1000),
        (50, 3, True, 150),
        (50, 3, False, 0),
    ],
)
def test_an_answer_is_bounded_by_the_caller_and_the_context(
    max_output: int | None, choices: int, generates: bool, expected: int
) -> None:
    usage = worst_case(
        tier(context=1000, output=100),
        prompt_tokens=10,
        max_output=max_output,
        choices=choices,
        generates=generates,
    )
    assert usage == Usage(input=10, output=expected)


@pytest.mark.parametrize(("prompt_bytes", "bound"), [(0, 100), (900, 100), (901, None)])
def test_the_tiers_bound_is_set_only_where_the_prompt_surely_leaves_room_for_it(
    prompt_bytes: int, bound: int | None
) -> None:
    """VLLM refuses a ``max_tokens`` that does not fit beside the prompt."""
    assert answer_bound(tier(context=1000, output=100), prompt_bytes=prompt_bytes) == bound
    assert answer_bound(tier(context=1000, output=None), prompt_bytes=prompt_bytes) is None


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        (PLAIN, 100 + 20),
        (Prompt(count=3), 100 + 3 * 20),
        (Prompt(rendered=True), 3 * 100 + 2 * 20),
        (Prompt(count=3, repeated=True), 3 * 100 + 3 * 20),
        (Prompt(unbounded=True), 1000),
        (Prompt(unbounded=True, count=2), 2000),
    ],
)
def test_a_prompt_has_no_more_tokens_than_its_bytes_and_what_the_template_adds(prompt: Prompt, tokens: int) -> None:
    """JSON that the template writes anew has up to three for each byte; what is said once may stand in many prompts."""
    assert prompt_bound(tier(context=1000, template_tokens=20), prompt, body_bytes=100) == tokens


def test_no_prompt_is_longer_than_the_context() -> None:
    """But several are, together."""
    served = tier(context=1000)
    assert prompt_bound(served, PLAIN, body_bytes=10**6) == 1000
    assert prompt_bound(served, Prompt(count=3), body_bytes=10**6) == 3000


@given(text=st.text(max_size=50), answer=st.integers(min_value=1, max_value=2000))
def test_the_worst_case_covers_a_tokenizer_that_spends_a_token_on_every_byte(text: str, answer: int) -> None:
    used, served = len(text.encode()), tier(context=1000, template_tokens=0)
    usage = worst_case(served, prompt_tokens=prompt_bound(served, PLAIN, body_bytes=used), max_output=answer)
    assert usage.input >= used
    assert usage.output >= min(answer, 1000)


def test_by_gpu_time_a_request_costs_at_most_one_worker_for_as_long() -> None:
    priced = tier(price=GpuPrice(microdollars_per_second=620), gpu_count=2)
    assert worst_cost(priced, Usage(input=10**6), 300.0) == 620 * 300


def test_only_what_is_paid_by_gpu_time_takes_gpu_seconds() -> None:
    assert billed_seconds(tier(price=GpuPrice(microdollars_per_second=620)), 1.5) == 1.5
    assert billed_seconds(tier(price=TokenPrice(input_microdollars=1, output_microdollars=1)), 1.5) == 0.0


def test_by_token_a_request_costs_its_worst_usage() -> None:
    priced = tier(price=TokenPrice(input_microdollars=150_000, output_microdollars=600_000))
    assert worst_cost(priced, Usage(input=1_000_000, output=1_000_000), 60.0) == 750_000
