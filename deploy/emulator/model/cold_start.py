"""How long a cold start takes: the image pull, then the container's way to its first answer.

Spreads, in seconds, after the reported figures: an image pull took 162 s on a host of a warm pool; a typical delay of
a cold call was 105 s; a 4090 loads a small model in about 60 s, an A100 a large one in about 150 s. FlashBoot revives
a worker within a few seconds, for a time after its last use.
"""

from dataclasses import dataclass
from random import Random

from deploy.emulator.model.catalogue import Machine
from deploy.emulator.model.config import EndpointConfig
from deploy.emulator.model.faults import Faults

HELD_SECONDS = {"OFF": 300.0, "FLASHBOOT": 300.0, "PRIORITY_FLASHBOOT": 900.0}
"""How long a scaled-down worker's host is kept."""
_PULL = (25.0, 60.0)
_CPU_LOAD = (5.0, 15.0)
_REVIVAL = (1.0, 4.0)
_LARGE_GB = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """The two phases of one start, in seconds."""

    pull: float
    load: float


def cold_start(machine: Machine, faults: Faults, random: Random, *, has_image: bool) -> ColdStart:
    """How long a start from nothing takes; a host that has the image does not pull it."""
    pull = random.uniform(*_PULL)
    load = random.uniform(*_load_spread(machine))
    return ColdStart(
        pull=(0.0 if has_image else pull) if faults.pull_seconds is None else faults.pull_seconds,
        load=load if faults.load_seconds is None else faults.load_seconds,
    )


def revival_seconds(config: EndpointConfig, machine: Machine, faults: Faults, random: Random) -> float:
    """How long a scaled-down worker takes to serve again."""
    quick = random.uniform(*_REVIVAL)
    if config.flashboot != "OFF":
        return quick if faults.load_seconds is None else min(quick, faults.load_seconds)
    return cold_start(machine, faults, random, has_image=True).load


def _load_spread(machine: Machine) -> tuple[float, float]:
    if not machine.gpu_type_id:
        return _CPU_LOAD
    return (120.0, 180.0) if machine.memory_gb >= _LARGE_GB else (45.0, 75.0)
