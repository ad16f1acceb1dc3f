from datetime import date

import pytest

from tiers.gpus import catalogue, find


def test_every_figure_has_a_day_and_a_source() -> None:
    """Nobody has to guess how old a price is or where it came from."""
    for gpu in catalogue().values():
        assert date.fromisoformat(gpu.priced_on) >= date(2026, 1, 1), gpu.name
        assert gpu.source, gpu.name
        assert gpu.pool, gpu.name


@pytest.mark.parametrize(
    ("name", "memory", "price", "pool"),
    [
        ("RTX 4090", 24, 310, "ADA_24"),
        ("A100 80GB", 80, 760, "AMPERE_80"),
        ("H100 80GB", 80, 1160, "ADA_80_PRO"),
        ("L4", 24, 190, "AMPERE_24"),
        ("L40S", 48, 530, "ADA_48_PRO"),
        ("A40", 48, 340, "AMPERE_48"),
    ],
)
def test_prices_are_whole_microdollars_per_second(name: str, memory: int, price: int, pool: str) -> None:
    """The catalogue says what Runpod's price table says."""
    gpu = catalogue()[name]
    assert (gpu.memory_gib, gpu.microdollars_per_second, gpu.pool) == (memory, price, pool)


@pytest.mark.parametrize("spelling", ["RTX 4090", "rtx4090", "Rtx  4090", " RTX 4090 "])
def test_case_and_spaces_do_not_matter(spelling: str) -> None:
    assert find(spelling) is catalogue()["RTX 4090"]


def test_a_gpu_that_is_not_listed_is_not_found() -> None:
    assert find("RTX 4099") is None


def test_no_two_gpus_differ_only_by_case_and_spaces() -> None:
    assert len({name.replace(" ", "").casefold() for name in catalogue()}) == len(catalogue())
