"""What a worker costs."""

from deploy.fleet.answers import CpuType, GpuType
from deploy.fleet.prices import VCPU_MICRODOLLARS_PER_HOUR, dollars, listed, todays, volume_day


def test_the_list_has_every_pool_by_the_hour() -> None:
    """A 4090 is 0.00031 dollars a second."""
    assert listed().gpus(["ADA_24"], 1) == 1_116_000
    assert listed().gpus(["ADA_24", "AMPERE_80"], 2) == 2 * 2_736_000
    assert listed().gpus(["unheard of"], 1) == listed().gpus([], 1) == 0
    assert listed().vcpus("cpu3c", 4) == 4 * VCPU_MICRODOLLARS_PER_HOUR


def test_todays_prices_go_before_it_and_a_pools_is_its_dearest() -> None:
    gpus = [
        GpuType.model_validate({"id": "a", "pool": "ADA_24", "price": {"serverless": 1.5}}),
        GpuType.model_validate({"id": "b", "pool": "ADA_24", "price": {"serverless": 1.25}}),
        GpuType.model_validate({"id": "c", "pool": None, "price": {"serverless": 9.0}}),
        GpuType.model_validate({"id": "d", "pool": "AMPERE_80", "price": {}}),
    ]
    cpus = [
        CpuType.model_validate({"id": "cpu3c", "price": {"serverlessPerVcpu": 0.02}}),
        CpuType.model_validate({"id": "cpu5c"}),
    ]
    prices = todays(gpus, cpus)
    assert prices.gpus(["ADA_24"], 1) == 1_500_000
    assert prices.gpus(["AMPERE_80"], 1) == 2_736_000
    assert (prices.vcpus("cpu3c", 2), prices.vcpus("cpu5c", 1)) == (40_000, VCPU_MICRODOLLARS_PER_HOUR)


def test_a_volume_is_paid_by_the_month_and_money_is_told_in_cents() -> None:
    assert volume_day(300) == 700_000
    assert (dollars(1_234_567_890), dollars(0)) == ("$1,234.57", "$0.00")
