"""How fast an engine reads and writes on a machine: tokens per second, from the size of its GPU.

Orders of magnitude for a model that fits the card (8 billion parameters on 24 GB, 70 billion in four bits on 80 GB),
made up: what matters is that a larger batch is slower for each request and faster for all of them together.
"""

from dataclasses import dataclass

from deploy.emulator.model.catalogue import Machine

_LARGE_GB = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Tokens per second."""

    prefill: float
    decode: float
    """Of one request that has the machine for itself."""
    half_batch: int
    """With so many requests more each one is half as fast."""

    def decode_seconds(self, batch: int) -> float:
        """How long the next token takes each of ``batch`` requests."""
        return (1 + max(0, batch - 1) / self.half_batch) / self.decode


_CPU = Speed(prefill=120.0, decode=20.0, half_batch=1)
_SMALL = Speed(prefill=6000.0, decode=60.0, half_batch=24)
_LARGE = Speed(prefill=8000.0, decode=45.0, half_batch=48)


def speed_of(machine: Machine) -> Speed:
    """How fast this machine is."""
    if not machine.gpu_type_id:
        return _CPU
    return _LARGE if machine.memory_gb >= _LARGE_GB else _SMALL
