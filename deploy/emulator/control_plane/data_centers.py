"""Data centres: where they are, what they have, and what is free in them where it is asked for."""

from dataclasses import dataclass
from typing import Any, get_args

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.parameters import word, words
from deploy.emulator.control_plane.problems import not_found
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.control_plane.stock import GLOBAL_NETWORK, VOLUME_TYPES, Stock
from deploy.emulator.model.catalogue import CPU_FLAVORS, DATA_CENTERS, DataCenter, gpu_types
from deploy.emulator.model.resources import VolumeType

INCLUDES = ("GPU_AVAILABILITY", "CPU_AVAILABILITY")
REGIONS = (
    "NORTH_AMERICA",
    "SOUTH_AMERICA",
    "EUROPE",
    "ASIA",
    "MIDDLE_EAST",
    "AFRICA",
    "OCEANIA",
    "ANTARCTICA",
    "UNKNOWN",
)
COMPLIANCE = (
    "GDPR",
    "ISO_IEC_27001",
    "ISO_14001",
    "PCI_DSS",
    "HITRUST",
    "SOC_1_TYPE_2",
    "SOC_2_TYPE_2",
    "SOC_3_TYPE_2",
    "ITAR",
    "FISMA_HIGH",
    "HIPAA",
    "RENEWABLE",
)


@dataclass(frozen=True, slots=True)
class DataCenters:
    """The routes under ``/v2/catalog/datacenters``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """Both of them."""
        return [
            resource("/v2/catalog/datacenters", get=self.list_all),
            resource("/v2/catalog/datacenters/{id}", get=self.read),
        ]

    async def list_all(self, request: Request) -> Response:
        """Those that pass every filter."""
        query = request.query_params
        included = words(query, "include", INCLUDES) or ()
        shown = [
            view(place, included, self.desk.rehearsal.stock) for place in DATA_CENTERS.values() if _passes(place, query)
        ]
        return JSONResponse({"dataCenters": shown})

    async def read(self, request: Request) -> Response:
        """One of them."""
        included = words(request.query_params, "include", INCLUDES) or ()
        place = DATA_CENTERS.get(request.path_params["id"])
        if place is None:
            raise not_found("data center")
        return JSONResponse(view(place, included, self.desk.rehearsal.stock))


def compliance(place: DataCenter) -> tuple[str, ...]:
    """Which certificates a data centre has."""
    return ("GDPR", "SOC_2_TYPE_2") if place.region == "EUROPE" else ("SOC_2_TYPE_2",)


def view(place: DataCenter, included: tuple[str, ...], stock: Stock) -> dict[str, Any]:
    """A data centre as the API tells it."""
    told: dict[str, Any] = {
        "id": place.id,
        "name": place.name,
        "region": place.region,
        "globalNetwork": place.id in GLOBAL_NETWORK,
        "networkVolumeTypes": list(VOLUME_TYPES.get(place.id, ())),
        "compliance": list(compliance(place)),
    }
    if "GPU_AVAILABILITY" in included:
        told["gpuAvailability"] = [
            {"id": card.id, "name": card.name, "availability": stock.level(card.id, place.id, pool=card.pool)}
            for card in gpu_types().values()
        ]
    if "CPU_AVAILABILITY" in included:
        told["cpuAvailability"] = [
            {"id": flavor.id, "name": flavor.name, "availability": stock.level(flavor.id, place.id)}
            for flavor in CPU_FLAVORS.values()
        ]
    return told


def _passes(place: DataCenter, query: QueryParams) -> bool:
    regions = words(query, "regions", REGIONS)
    volume_types = words(query, "networkVolumeTypes", get_args(VolumeType))
    certificates = words(query, "compliance", COMPLIANCE)
    network = word(query, "globalNetwork", ("true", "false"))
    return (
        (regions is None or place.region in regions)
        and set(volume_types or ()) <= set(VOLUME_TYPES.get(place.id, ()))
        and set(certificates or ()) <= set(compliance(place))
        and (network is None or (place.id in GLOBAL_NETWORK) is (network == "true"))
    )
