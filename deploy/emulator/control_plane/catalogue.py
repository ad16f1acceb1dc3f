"""The catalogue: GPU types, CPU flavours and data centres, with prices, and with stock where it is asked for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.parameters import integer, matching, word, words
from deploy.emulator.control_plane.problems import bad_request, not_found
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.control_plane.stock import Level, Stock, country
from deploy.emulator.model.catalogue import (
    CPU_FLAVORS,
    CUDA_VERSIONS,
    DATA_CENTERS,
    NANODOLLARS_PER_DOLLAR,
    CpuFlavor,
    GpuType,
    gpu_types,
)

GPUS_MAX = 8
SECONDS_PER_HOUR = 3600
_INCLUDES = ("AVAILABILITY",)
_ONLY_WITH_INCLUDE = ("product", "count", "cloud", "countryCodes", "cudaVersions", "minCudaVersion", "vcpuCount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a question about machines adds to their prices; ``stock`` false asks for prices alone."""

    stock: bool = False
    data_center_ids: Sequence[str] = ()
    cuda_versions: Sequence[str] = ()
    narrowed: bool = False
    """Whether only machines of some countries are listed."""


@dataclass(frozen=True, slots=True)
class Machines:
    """The routes ``/v2/catalog/gpus`` and ``/v2/catalog/cpus``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """All of them. A GPU's id has spaces but no slash."""
        return [
            resource("/v2/catalog/gpus", get=self.list_gpus),
            resource("/v2/catalog/gpus/{id}", get=self.read_gpu),
            resource("/v2/catalog/cpus", get=self.list_cpus),
            resource("/v2/catalog/cpus/{id}", get=self.read_cpu),
        ]

    async def list_gpus(self, request: Request) -> Response:
        """Every GPU type; with ``countryCodes`` only those that are free there."""
        asked = gpu_question(request.query_params)
        shown = [gpu_view(card, asked, self.desk.rehearsal.stock) for card in gpu_types().values()]
        if asked.narrowed:
            shown = [card for card in shown if "dataCenters" in card]
        return JSONResponse({"gpus": shown})

    async def read_gpu(self, request: Request) -> Response:
        """One GPU type, whether it is free or not."""
        asked = gpu_question(request.query_params)
        card = gpu_types().get(request.path_params["id"])
        if card is None:
            raise not_found("gpu type")
        return JSONResponse(gpu_view(card, asked, self.desk.rehearsal.stock))

    async def list_cpus(self, request: Request) -> Response:
        """Every CPU flavour."""
        asked = cpu_question(request.query_params)
        return JSONResponse(
            {"cpus": [cpu_view(flavor, asked, self.desk.rehearsal.stock) for flavor in CPU_FLAVORS.values()]}
        )

    async def read_cpu(self, request: Request) -> Response:
        """One CPU flavour."""
        asked = cpu_question(request.query_params)
        flavor = CPU_FLAVORS.get(request.path_params["id"])
        if flavor is None:
            raise not_found("cpu type")
        return JSONResponse(cpu_view(flavor, asked, self.desk.rehearsal.stock))


def gpu_question(query: QueryParams) -> Asked:
    """What a query about GPUs asks for.

    Raises:
        Problem: A parameter is malformed (422), or stands without what it needs or beside what excludes it (400).
    """
    included = words(query, "include", _INCLUDES) is not None
    products = words(query, "product", ("POD", "CLUSTER", "SERVERLESS"))
    integer(query, "count", least=1)
    word(query, "cloud", ("SECURE", "COMMUNITY"))
    countries = matching(query, "countryCodes", r"^[A-Z]{2}$")
    exact = matching(query, "cudaVersions", r"^\d+\.\d+$")
    floor = matching(query, "minCudaVersion", r"^\d+(\.\d+)?$", several=False)
    _check_context(query, included=included, products=products)
    if exact and floor:
        raise bad_request("cudaVersions and minCudaVersion are mutually exclusive")
    versions = [
        version
        for version in CUDA_VERSIONS
        if (exact is None or version in exact) and (floor is None or _number(version) >= _number(floor[0]))
    ]
    places = [place for place in DATA_CENTERS if countries is None or country(place) in countries]
    return Asked(stock=included, data_center_ids=places, cuda_versions=versions, narrowed=countries is not None)


def cpu_question(query: QueryParams) -> Asked:
    """What a query about CPUs asks for.

    Raises:
        Problem: A parameter is malformed (422), or stands without what it needs (400).
    """
    included = words(query, "include", _INCLUDES) is not None
    products = words(query, "product", ("POD", "SERVERLESS"))
    count = integer(query, "vcpuCount", least=2)
    _check_context(query, included=included, products=products)
    if count is not None and count & (count - 1):
        raise bad_request("vcpuCount must be a power of two")
    return Asked(stock=included, data_center_ids=list(DATA_CENTERS))


def gpu_view(card: GpuType, asked: Asked, stock: Stock) -> dict[str, Any]:
    """A GPU type as the API tells it. Pods are not emulated: theirs are the serverless figures."""
    price = round(card.nanodollars_per_second * SECONDS_PER_HOUR / NANODOLLARS_PER_DOLLAR, 4)
    told: dict[str, Any] = {
        "id": card.id,
        "name": card.name,
        "pool": card.pool,
        "manufacturer": "NVIDIA",
        "memory": card.memory_gb,
        "secure": True,
        "community": True,
        "price": {"secure": price, "community": price, "serverless": price},
        "maxCount": {"secure": GPUS_MAX, "community": GPUS_MAX},
    }
    if asked.stock:
        levels = {place: stock.level(card.id, place, pool=card.pool) for place in asked.data_center_ids}
        told |= _availability(levels, offered=bool(asked.cuda_versions))
        free = told["availability"] != "NONE"
        told["cudaVersions"] = [{"version": version, "available": free} for version in asked.cuda_versions]
    return told


def cpu_view(flavor: CpuFlavor, asked: Asked, stock: Stock) -> dict[str, Any]:
    """A CPU flavour as the API tells it."""
    price = round(flavor.nanodollars_per_vcpu_second * SECONDS_PER_HOUR / NANODOLLARS_PER_DOLLAR, 4)
    told: dict[str, Any] = {
        "id": flavor.id,
        "name": flavor.name,
        "group": flavor.group,
        "vcpu": {"min": flavor.vcpu_min, "max": flavor.vcpu_max},
        "ramGbPerVcpu": flavor.ram_gb_per_vcpu,
        "price": {"securePerVcpu": price, "serverlessPerVcpu": price},
    }
    if asked.stock:
        told |= _availability({place: stock.level(flavor.id, place) for place in asked.data_center_ids})
    return told


def _availability(levels: Mapping[str, Level], *, offered: bool = True) -> dict[str, Any]:
    """The stock of one machine; the list of places is left out where it is free nowhere."""
    free = {place: level for place, level in levels.items() if offered and level != "NONE"}
    if not free:
        return {"availability": "NONE"}
    return {
        "availability": _best(free.values()),
        "dataCenters": [
            {"id": place, "name": DATA_CENTERS[place].name, "availability": level} for place, level in free.items()
        ],
    }


def _best(levels: Iterable[Level]) -> Level:
    order: tuple[Level, ...] = ("NONE", "LOW", "MEDIUM", "HIGH")
    return max(levels, key=order.index)


def _check_context(query: QueryParams, *, included: bool, products: tuple[str, ...] | None) -> None:
    if included and products is None:
        raise bad_request("product is required with include=AVAILABILITY")
    if not included:
        for name in _ONLY_WITH_INCLUDE:
            if name in query:
                raise bad_request(f"{name} is valid only with include=AVAILABILITY")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
