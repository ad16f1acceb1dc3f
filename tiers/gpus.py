"""The GPUs that a tier can name, with memory, price and Runpod pool.

The figures are in ``tiers/gpus.yaml``, each with its date and source: package data that ships with the code,
so reading it is no more I/O than an import.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

from tiers.price import MICRODOLLARS_PER_DOLLAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One kind of GPU. The price is microdollars per second of one running worker with one such GPU."""

    name: str
    memory_gib: int
    microdollars_per_second: int
    pool: str
    """The id by which Runpod's API knows the group of cards that this one belongs to."""
    priced_on: str = ""
    """The day (ISO 8601) on which ``source`` stated the price."""
    source: str = ""


@cache
def catalogue() -> Mapping[str, Gpu]:
    """Every GPU by its name as operators write it, in the order of the file: small cards first."""
    text = files("tiers").joinpath("gpus.yaml").read_text(encoding="utf-8")
    gpus = (_gpu(entry) for entry in yaml.safe_load(text))
    return MappingProxyType({gpu.name: gpu for gpu in gpus})


def find(name: str) -> Gpu | None:
    """The GPU of that name, whatever its case and spaces (``rtx4090`` is ``RTX 4090``), or ``None``."""
    return _by_folded_name().get(_fold(name))


@cache
def _by_folded_name() -> Mapping[str, Gpu]:
    return {_fold(gpu.name): gpu for gpu in catalogue().values()}


def _fold(name: str) -> str:
    return "".join(name.split()).casefold()


def _gpu(entry: Mapping[str, Any]) -> Gpu:
    return Gpu(
        name=entry["name"],
        memory_gib=entry["memory_gib"],
        microdollars_per_second=int(Decimal(entry["usd_per_second"]) * MICRODOLLARS_PER_DOLLAR),
        pool=entry["pool"],
        priced_on=entry["priced_on"].isoformat(),
        source=entry["source"],
    )
