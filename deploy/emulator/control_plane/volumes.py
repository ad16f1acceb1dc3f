"""Network volumes: they only grow, and never move."""

from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.bodies import VolumeBody, VolumePatchBody
from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.problems import bad_request, not_found
from deploy.emulator.control_plane.reading import read_body
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.control_plane.stock import VOLUME_TYPES
from deploy.emulator.model.catalogue import DATA_CENTERS
from deploy.emulator.model.names import new_id
from deploy.emulator.model.resources import NetworkVolume


@dataclass(frozen=True, slots=True)
class Volumes:
    """The routes under ``/v2/network-volumes``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            resource("/v2/network-volumes", get=self.list_all, post=self.create),
            resource("/v2/network-volumes/{id}", get=self.read, patch=self.update, delete=self.delete),
        ]

    async def list_all(self, request: Request) -> Response:
        """The account's volumes."""
        own = self.desk.account(request).resources.volumes.values()
        return JSONResponse({"networkVolumes": [view(volume) for volume in own]})

    async def create(self, request: Request) -> Response:
        """Make a volume: it costs from now on until it is deleted."""
        body = await read_body(request, VolumeBody)
        types = VOLUME_TYPES.get(body.data_center, ())
        if body.data_center not in DATA_CENTERS:
            raise bad_request(f"data center {body.data_center!r} does not exist")
        type_ = body.type if body.sets("type") else next(iter(types), body.type)
        if type_ not in types:
            raise bad_request(f"data center {body.data_center} has no {type_} network volumes")
        volume = NetworkVolume(
            id=new_id(self.desk.world.random),
            name=body.name,
            size_gb=body.size,
            data_center_id=body.data_center,
            type=type_,
            created_at=self.desk.clock.now(),
        )
        self.desk.account(request).resources.volumes[volume.id] = volume
        return JSONResponse(view(volume), status_code=201)

    async def read(self, request: Request) -> Response:
        """One volume."""
        return JSONResponse(view(self._own(request)))

    async def update(self, request: Request) -> Response:
        """Rename or enlarge it."""
        body = await read_body(request, VolumePatchBody)
        volume = self._own(request)
        changed = replace(
            volume,
            name=body.name if body.sets("name") else volume.name,
            size_gb=body.size if body.sets("size") else volume.size_gb,
        )
        if changed.size_gb < volume.size_gb:
            raise bad_request("network volume size can only be increased")
        account = self.desk.account(request)
        if changed.size_gb > volume.size_gb:
            self.desk.archive.volume_changed(account, volume, self.desk.clock.now())
        account.resources.volumes[volume.id] = changed
        return JSONResponse(view(changed))

    async def delete(self, request: Request) -> Response:
        """End it, whoever still names it."""
        volume = self._own(request)
        account = self.desk.account(request)
        self.desk.archive.volume_changed(account, volume, self.desk.clock.now())
        del account.resources.volumes[volume.id]
        return Response(status_code=204)

    def _own(self, request: Request) -> NetworkVolume:
        volume = self.desk.account(request).resources.volumes.get(request.path_params["id"])
        if volume is None:
            raise not_found("network volume")
        return volume


def view(volume: NetworkVolume) -> dict[str, Any]:
    """A volume as the API tells it."""
    return {
        "id": volume.id,
        "name": volume.name,
        "size": volume.size_gb,
        "dataCenter": volume.data_center_id,
        "type": volume.type,
    }
