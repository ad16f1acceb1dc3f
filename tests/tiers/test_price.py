import pytest

from tiers.price import GpuPrice, ListedPrice, TokenPrice
from tiers.usage import Usage


@pytest.mark.parametrize(("seconds", "cost"), [(0.0, 0), (1.0, 310), (2.5, 775), (0.001, 1), (1.0001, 311)])
def test_gpu_time_rounds_up_to_a_microdollar(seconds: float, cost: int) -> None:
    assert GpuPrice(microdollars_per_second=310).cost(Usage(input=999), seconds) == cost


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(), 0),
        (Usage(input=1), 1),
        (Usage(input=1_000_000), 150_000),
        (Usage(output=1_000_000), 600_000),
        (Usage(input=20, output=5), 6),
        (Usage(input=20, output=6), 7),
    ],
)
def test_tokens_round_up_to_a_microdollar_once(usage: Usage, cost: int) -> None:
    assert TokenPrice(input_microdollars=150_000, output_microdollars=600_000).cost(usage, 999.0) == cost


def test_a_price_that_was_not_looked_up_pays_for_nothing() -> None:
    """Rather an error than a request for free."""
    with pytest.raises(ValueError, match="not looked up"):
        ListedPrice().cost(Usage(), 1.0)
