"""LiteLLM's price list."""

import sys

import pytest

from gateway.upstream.litellm_prices import listed_price
from tests.gateway.upstream.litellm_installed import need_litellm
from tiers.price import TokenPrice
from tiers.problems import Refused


def test_a_model_on_the_list_has_its_price_per_million_tokens() -> None:
    need_litellm()
    assert listed_price("openai/gpt-4o-mini") == TokenPrice(input_microdollars=150_000, output_microdollars=600_000)


def test_embeddings_have_no_price_of_an_answer() -> None:
    need_litellm()
    assert listed_price("openai/text-embedding-3-small") == TokenPrice(input_microdollars=20_000, output_microdollars=0)


def test_a_model_that_is_not_on_the_list_needs_its_price_written_out() -> None:
    need_litellm()
    with pytest.raises(Refused, match="no price of the model") as caught:
        listed_price("openai/nobodys-model")
    assert "price: {input: 0.15, output: 0.60}" in caught.value.remedy


def test_where_long_prompts_cost_more_it_is_their_price(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget is never told of less than was spent."""
    need_litellm()
    entry = {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}
    dear = {"input_cost_per_token_above_200k_tokens": 3e-06, "input_cost_per_token_batches": 9e-06}
    monkeypatch.setattr("litellm.model_cost", {"gpt-4o-mini": entry | dear})
    assert listed_price("gpt-4o-mini") == TokenPrice(input_microdollars=3_000_000, output_microdollars=2_000_000)


def test_a_model_that_is_not_paid_per_token_does_too() -> None:
    """The package says 0 of it, which would make its tier free."""
    need_litellm()
    with pytest.raises(Refused, match="no price per token"):
        listed_price("openai/whisper-1")


def test_without_litellm_there_is_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(Refused, match="not installed") as caught:
        listed_price("openai/gpt-4o-mini")
    assert "pip install" in caught.value.remedy
