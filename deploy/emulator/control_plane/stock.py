"""Where which machines are free, and what each data centre has beside machines.

Everything is free until it is sold out on demand. Stock decides what a create call is refused for and what the
catalogue shows; workers that wait for a machine are the faults of one endpoint (``Faults.no_capacity``).
"""

from dataclasses import dataclass, field
from typing import Literal

from deploy.emulator.model.config import CpuChoice, GpuChoice
from deploy.emulator.model.resources import VolumeType

Level = Literal["NONE", "LOW", "MEDIUM", "HIGH"]
VOLUME_TYPES: dict[str, tuple[VolumeType, ...]] = {
    "EU-RO-1": ("STANDARD", "HIGH_PERFORMANCE"),
    "US-KS-2": ("HIGH_PERFORMANCE", "STANDARD"),
    "EU-SE-1": ("STANDARD",),
}
"""Data centre → its tiers of network volumes, its own default first; the others have none."""
GLOBAL_NETWORK = frozenset({"EU-RO-1", "US-KS-2", "US-TX-3"})


@dataclass(slots=True)
class Stock:
    """What is sold out: pairs of a machine and a data centre, ``*`` for every data centre.

    A machine is a GPU type's id, a pool's id or a CPU flavour's id.
    """

    sold_out: set[tuple[str, str]] = field(default_factory=set)

    def level(self, machine: str, data_center_id: str, *, pool: str = "") -> Level:
        """How many of a machine are free in a data centre."""
        names = {machine, pool} - {""}
        gone = any((name, place) in self.sold_out for name in names for place in (data_center_id, "*"))
        return "NONE" if gone else "HIGH"

    def offers(self, choice: GpuChoice | CpuChoice, data_center_ids: tuple[str, ...]) -> bool:
        """Whether one of the data centres has a machine for a worker."""
        machines = choice.pools if isinstance(choice, GpuChoice) else (choice.id,)
        return any(self.level(machine, place) != "NONE" for machine in machines for place in data_center_ids)


def country(data_center_id: str) -> str:
    """The country of a data centre, as an ISO 3166 code; Runpod's ids name it."""
    region, inner, *_ = data_center_id.split("-")
    return inner if region == "EU" else region
