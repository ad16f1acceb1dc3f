"""Whether a model's weights fit its GPU: arithmetic that saves a worker from crashing at every start.

Weights take ``parameters * bits / 8`` bytes. Checkpoints of 4 bits hold scales and layers that stay at 16
bits: 10 % are added for them. vLLM uses 0.9 of a GPU's memory unless told otherwise
(``gpu_memory_utilization``), and what the weights leave of it is all that requests have for their context.
Figures of vLLM's documentation (engine arguments) and of common checkpoints:
Meta-Llama-3.1-70B-Instruct-AWQ-INT4 is about 40 GB on disk.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from tiers.document import ModelDocument
from tiers.gpus import Gpu, catalogue
from tiers.problems import Finding

USABLE_MEMORY = 0.9
"""vLLM's default ``gpu_memory_utilization``."""
QUANTISED_OVERHEAD = 1.1
"""Scales and unquantised layers of a checkpoint of 4 bits, as a factor on its weights."""
_GPU_COUNTS = (2, 4, 8)
"""What one worker can have and a model can be spread over: tensor parallelism wants powers of two."""
_BYTES_PER_GIB = 2**30
_BITS = {"16bit": 16, "8bit": 8, "4bit": 4}

_SIZE = re.compile(
    r"(?<![a-z0-9.])(?:([0-9]{1,3})x)?([0-9]{1,4}(?:\.[0-9]{1,3})?)([mb])(?![a-z0-9])",
    re.ASCII | re.IGNORECASE,
)
_FOUR_BITS = re.compile(
    r"(?<![a-z0-9])(awq|gptq|int4|w4a\d+|4-?bit|nf4|(mx|nv)?fp4|q4)(?![a-z0-9])", re.ASCII | re.IGNORECASE
)
_EIGHT_BITS = re.compile(r"(?<![a-z0-9])(fp8|int8|w8a\d+|8-?bit|q8)(?![a-z0-9])", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A model's parameters and the bits that each takes."""

    parameters: int
    bits: int

    @property
    def gib(self) -> float:
        """Memory that they take."""
        overhead = QUANTISED_OVERHEAD if self.bits == _BITS["4bit"] else 1.0
        return self.parameters * self.bits / 8 * overhead / _BYTES_PER_GIB

    def fit(self, gpu: Gpu, count: int) -> bool:
        """Whether they leave room in a worker with ``count`` such GPUs."""
        return self.gib < usable_gib(gpu, count)


def usable_gib(gpu: Gpu, count: int) -> float:
    """The memory of a worker that vLLM uses."""
    return USABLE_MEMORY * gpu.memory_gib * count


def weights(model: str, *, parameters: int | None = None, bits: str | None = None) -> Weights | None:
    """What the model's name tells of its weights, unless the tier says it; ``None`` where the size is
    unknown.

    ``8x7B`` counts as 56B, an upper bound: such models share some layers. Of two sizes in a name the larger
    counts (``Qwen2.5-7B-Instruct-1M`` has 7B and a context of 1M). A name without a word on quantisation
    means 16 bits.
    """
    size = parameters or _size(model)
    if size is None:
        return None
    if bits is not None:
        return Weights(parameters=size, bits=_BITS[bits])
    if _FOUR_BITS.search(model):
        return Weights(parameters=size, bits=4)
    return Weights(parameters=size, bits=8 if _EIGHT_BITS.search(model) else 16)


def findings(name: str, tier: ModelDocument) -> Iterator[Finding]:
    """The complaint about a tier whose model cannot fit its GPU."""
    if tier.gpu is None:
        return
    needed = weights(tier.model, parameters=tier.parameters, bits=tier.weights)
    if needed is None or needed.fit(tier.gpu, tier.gpu_count):
        return
    gpus = tier.gpu.name if tier.gpu_count == 1 else f"{tier.gpu_count}x {tier.gpu.name}"
    yield Finding(
        path=("tiers", name, "gpu"),
        message=(
            f"the model does not fit: {_billions(needed.parameters)} parameters of {needed.bits} bits take "
            f"{needed.gib:.1f} GiB, and vLLM uses {usable_gib(tier.gpu, tier.gpu_count):.1f} GiB of {gpus}"
        ),
        remedy=_remedy(needed, tier.gpu, tier.gpu_count),
    )


def _remedy(needed: Weights, gpu: Gpu, count: int) -> str:
    fitting = sorted(
        (other for other in catalogue().values() if needed.fit(other, count)),
        key=lambda other: other.microdollars_per_second,
    )
    ways = [f"use a larger GPU ({', '.join(other.name for other in fitting)})"] if fitting else []
    more = next((number for number in _GPU_COUNTS if needed.fit(gpu, number)), None)
    ways += [f"set gpu_count: {more}"] if more else []
    smaller = next(
        (
            bits
            for bits in ("8bit", "4bit")
            if _BITS[bits] < needed.bits and Weights(parameters=needed.parameters, bits=_BITS[bits]).fit(gpu, count)
        ),
        None,
    )
    ways += [f"use a checkpoint quantised to {_BITS[smaller]} bits"] if smaller else []
    return (
        ", or ".join([*ways, "say otherwise in `parameters` and `weights` if the name misleads"])
        if ways
        else "use a smaller model, or say otherwise in `parameters` and `weights` if the name misleads"
    )


def _size(model: str) -> int | None:
    units = {"m": 10**6, "b": 10**9}
    sizes = [
        int(int(experts or 1) * Decimal(number) * units[unit.lower()]) for experts, number, unit in _SIZE.findall(model)
    ]
    return max(sizes, default=None) or None


def _billions(parameters: int) -> str:
    return f"{parameters / 10**9:.3g}B"
