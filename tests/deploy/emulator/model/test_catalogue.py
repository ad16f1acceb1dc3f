"""Machines and their prices."""

from deploy.emulator.model.catalogue import eligible, gpu_types, machine_for, pools
from deploy.emulator.model.config import CpuChoice, GpuChoice
from tests.deploy.emulator.worlds import config
from tiers import gpus


def test_prices_are_those_of_the_tier_maps_catalogue() -> None:
    assert gpu_types()["NVIDIA GeForce RTX 4090"].nanodollars_per_second == 310_000
    assert {card.nanodollars_per_second // 1000 for card in gpu_types().values()} <= {
        gpu.microdollars_per_second for gpu in gpus.catalogue().values()
    }
    assert pools() == {gpu.pool for gpu in gpus.catalogue().values()}


def test_excluded_types_are_taken_out_of_the_pools() -> None:
    choice = GpuChoice(pools=("ADA_48_PRO",), excluded_types=("NVIDIA L40",))
    assert [card.id for card in eligible(config(gpu=choice))] == ["NVIDIA L40S", "NVIDIA RTX 6000 Ada Generation"]
    assert eligible(config(gpu=None)) == ()


def test_below_five_workers_all_get_the_top_choice() -> None:
    choice = GpuChoice(pools=("ADA_24", "AMPERE_80"), count=2)
    few = [machine_for(config(gpu=choice, workers_max=4), number) for number in range(4)]
    many = [machine_for(config(gpu=choice, workers_max=5), number) for number in range(3)]
    assert {machine.pool for machine in few} == {"ADA_24"}
    assert {machine.pool for machine in many} == {"ADA_24", "AMPERE_80"}
    assert few[0].gpu_nanodollars_per_second == 2 * 310_000


def test_a_cpu_worker_is_paid_by_its_vcpus() -> None:
    machine = machine_for(config(gpu=None, cpu=(CpuChoice(id="cpu3c", vcpu_count=4),), disk_gb=10), 0)
    assert (machine.gpu_type_id, machine.vcpu_count, machine.gpu_nanodollars_per_second) == ("", 4, 0)
    assert machine.cpu_nanodollars_per_second == 4 * 8_333
    assert machine.disk_nanodollars_per_second == 390


def test_an_unknown_flavor_costs_nothing() -> None:
    assert machine_for(config(gpu=None, cpu=(CpuChoice(id="?", vcpu_count=4),)), 0).cpu_nanodollars_per_second == 0
    assert machine_for(config(gpu=None), 0).vcpu_count == 0
