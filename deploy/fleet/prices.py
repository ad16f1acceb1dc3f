"""What a worker costs per hour: Runpod's catalogue of today, else the tier map's own list, with its date."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from deploy.fleet.answers import CpuType, GpuType
from tiers.gpus import catalogue
from tiers.price import MICRODOLLARS_PER_DOLLAR

HOUR_SECONDS = 3600
DAY_HOURS = 24
MONTH_DAYS = 30
VCPU_MICRODOLLARS_PER_HOUR = 30_000
"""Where the catalogue has no price of a CPU: the sample in Runpod's API reference of August 2026."""
VOLUME_MICRODOLLARS_PER_GB_MONTH = 70_000
"""Network volumes below a terabyte; Runpod's documentation, 20 August 2026."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Microdollars per hour."""

    pools: Mapping[str, int]
    """Of one GPU, by Runpod's pool: the dearest card of it."""
    cpus: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Of one vCPU, by Runpod's flavour."""

    def gpus(self, pools: Iterable[str], count: int) -> int:
        """A worker with so many GPUs of whichever pool is the dearest."""
        return max((self.pools.get(pool, 0) for pool in pools), default=0) * count

    def vcpus(self, flavour: str, count: int) -> int:
        """A worker with so many vCPUs."""
        return self.cpus.get(flavour, VCPU_MICRODOLLARS_PER_HOUR) * count


def listed() -> Prices:
    """The prices that are known without asking."""
    pools: dict[str, int] = {}
    for gpu in catalogue().values():
        pools[gpu.pool] = max(pools.get(gpu.pool, 0), gpu.microdollars_per_second * HOUR_SECONDS)
    return Prices(pools=MappingProxyType(pools))


def todays(gpus: Iterable[GpuType], cpus: Iterable[CpuType]) -> Prices:
    """Those of Runpod's catalogue, and the known ones where it has none."""
    told: dict[str, int] = {}
    for gpu in gpus:
        if gpu.pool is not None and gpu.price.serverless:
            told[gpu.pool] = max(told.get(gpu.pool, 0), _microdollars(gpu.price.serverless))
    found = {cpu.id: _microdollars(price) for cpu in cpus if (price := cpu.price.serverless_per_vcpu)}
    return Prices(pools={**listed().pools, **told}, cpus=found)


def volume_day(size_gb: int) -> int:
    """What a volume costs in a day."""
    return size_gb * VOLUME_MICRODOLLARS_PER_GB_MONTH // MONTH_DAYS


def dollars(microdollars: int) -> str:
    """For people: ``$1.23``."""
    return f"${Decimal(microdollars) / MICRODOLLARS_PER_DOLLAR:,.2f}"


def _microdollars(amount: float) -> int:
    return round(amount * MICRODOLLARS_PER_DOLLAR)
