"""The machines that can be rented: GPU types in their pools, CPU flavours, data centres, and what they cost.

GPU prices are those of ``tiers/gpus.yaml``. What no source states (CPU prices, disk) has the figure of Runpod's own
samples. Prices are nanodollars, so that seconds times price are exact integers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from deploy.emulator.model.config import EndpointConfig
from tiers import gpus

NANODOLLARS_PER_DOLLAR = 1_000_000_000
DISK_NANODOLLARS_PER_GB_SECOND = 39
"""0.10 dollars for a GB and 30 days, rounded up."""
CUDA_VERSIONS = ("12.1", "12.4", "12.6", "12.8", "13.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuType:
    """One card as the catalogue lists it."""

    id: str
    name: str
    pool: str
    memory_gb: int
    nanodollars_per_second: int
    """Of one such GPU in a serverless worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuFlavor:
    """One kind of CPU worker as the catalogue lists it."""

    id: str
    name: str
    group: str
    vcpu_min: int
    vcpu_max: int
    ram_gb_per_vcpu: int
    disk_gb_max_per_vcpu: int
    nanodollars_per_vcpu_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCenter:
    """One place where workers run."""

    id: str
    name: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What one worker runs on. ``gpu_type_id`` is empty for a CPU worker."""

    gpu_type_id: str = ""
    pool: str = ""
    gpu_count: int = 0
    memory_gb: int = 0
    vcpu_count: int = 0
    gpu_nanodollars_per_second: int = 0
    cpu_nanodollars_per_second: int = 0
    disk_nanodollars_per_second: int = 0


_CARDS = (
    ("NVIDIA RTX A4000", "RTX A4000"),
    ("NVIDIA RTX A4500", "RTX A4500"),
    ("NVIDIA RTX 4000 Ada Generation", "RTX 4000"),
    ("NVIDIA L4", "L4"),
    ("NVIDIA RTX A5000", "RTX A5000"),
    ("NVIDIA GeForce RTX 3090", "RTX 3090"),
    ("NVIDIA GeForce RTX 4090", "RTX 4090"),
    ("NVIDIA RTX A6000", "RTX A6000"),
    ("NVIDIA A40", "A40"),
    ("NVIDIA L40", "L40"),
    ("NVIDIA L40S", "L40S"),
    ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
    ("NVIDIA A100 80GB PCIe", "A100 80GB"),
    ("NVIDIA A100-SXM4-80GB", "A100 80GB"),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
    ("NVIDIA H100 80GB HBM3", "H100 80GB"),
    ("NVIDIA H100 PCIe", "H100 80GB"),
    ("NVIDIA H100 NVL", "H100 80GB"),
    ("NVIDIA H200", "H200"),
    ("NVIDIA B200", "B200"),
)
"""The catalogue's id of a card → its name in ``tiers/gpus.yaml``."""

CPU_FLAVORS: Mapping[str, CpuFlavor] = MappingProxyType(
    {
        flavor.id: flavor
        for flavor in (
            CpuFlavor(
                id=id_,
                name=name,
                group=group,
                vcpu_min=2,
                vcpu_max=32,
                ram_gb_per_vcpu=ram,
                disk_gb_max_per_vcpu=disk,
                nanodollars_per_vcpu_second=8_333,
            )
            for id_, name, group, ram, disk in (
                ("cpu3c", "Compute-Optimized", "Gen 3", 2, 10),
                ("cpu3g", "General Purpose", "Gen 3", 4, 10),
                ("cpu5c", "Compute-Optimized", "Gen 5", 2, 15),
            )
        )
    }
)
DATA_CENTERS: Mapping[str, DataCenter] = MappingProxyType(
    {
        place.id: place
        for place in (
            DataCenter(id="EU-RO-1", name="Romania 1", region="EUROPE"),
            DataCenter(id="EU-SE-1", name="Sweden 1", region="EUROPE"),
            DataCenter(id="US-TX-3", name="Texas 3", region="NORTH_AMERICA"),
            DataCenter(id="US-KS-2", name="Kansas 2", region="NORTH_AMERICA"),
        )
    }
)


@cache
def gpu_types() -> Mapping[str, GpuType]:
    """Every card by its id in Runpod's catalogue, small ones first."""
    return MappingProxyType({card.id: card for card in _gpu_types()})


def pools() -> frozenset[str]:
    """The ids of all pools."""
    return frozenset(card.pool for card in gpu_types().values())


def eligible(config: EndpointConfig) -> tuple[GpuType, ...]:
    """The cards that a worker of this endpoint may run on, those of the first pool first."""
    if config.gpu is None:
        return ()
    cards = gpu_types().values()
    return tuple(
        card
        for pool in config.gpu.pools
        for card in cards
        if card.pool == pool and card.id not in config.gpu.excluded_types
    )


def machine_for(config: EndpointConfig, number: int) -> Machine:
    """What the endpoint's ``number``-th worker runs on: below five workers all get the top choice, then they spread."""
    disk = config.disk_gb * DISK_NANODOLLARS_PER_GB_SECOND
    cards = eligible(config)
    if config.gpu is not None and cards:
        spread = config.workers_max >= _SPREAD_FROM
        card = cards[number % len(cards)] if spread else cards[0]
        return Machine(
            gpu_type_id=card.id,
            pool=card.pool,
            gpu_count=config.gpu.count,
            memory_gb=card.memory_gb,
            gpu_nanodollars_per_second=card.nanodollars_per_second * config.gpu.count,
            disk_nanodollars_per_second=disk,
        )
    vcpus = config.cpu[0].vcpu_count if config.cpu else 0
    flavor = CPU_FLAVORS.get(config.cpu[0].id) if config.cpu else None
    price = flavor.nanodollars_per_vcpu_second if flavor else 0
    return Machine(vcpu_count=vcpus, cpu_nanodollars_per_second=price * vcpus, disk_nanodollars_per_second=disk)


_SPREAD_FROM = 5


def _gpu_types() -> Iterator[GpuType]:
    known = gpus.catalogue()
    for id_, name in _CARDS:
        gpu = known[name]
        yield GpuType(
            id=id_,
            name=name,
            pool=gpu.pool,
            memory_gb=gpu.memory_gib,
            nanodollars_per_second=gpu.microdollars_per_second * 1000,
        )
