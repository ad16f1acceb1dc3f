"""An account's secrets: values that environments name as ``{{ RUNPOD_SECRET_name }}`` and nobody can read again.

The document of August has none; these are those of the later edition.
"""

from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.bodies import SecretBody, SecretPatchBody
from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.moments import rfc3339
from deploy.emulator.control_plane.problems import bad_request, conflict, not_found
from deploy.emulator.control_plane.reading import read_body
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.model.names import new_id
from deploy.emulator.model.resources import Secret

RESERVED = "RUNPOD"


@dataclass(frozen=True, slots=True)
class AccountSecrets:
    """The routes under ``/v2/secrets``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """All of them; none in August's edition."""
        if self.desk.edition == "2026-08":
            return []
        return [
            resource("/v2/secrets", get=self.list_all, post=self.create),
            resource("/v2/secrets/{id}", get=self.read, patch=self.update, delete=self.delete),
        ]

    async def list_all(self, request: Request) -> Response:
        """The account's secrets, without their values."""
        own = self.desk.account(request).resources.secrets.values()
        return JSONResponse({"secrets": [view(secret) for secret in own]})

    async def create(self, request: Request) -> Response:
        """Keep a secret; its name is the account's only once."""
        body = await read_body(request, SecretBody)
        own = self.desk.account(request).resources.secrets
        if body.name.upper().startswith(RESERVED):
            raise bad_request(f"secret names must not begin with {RESERVED}")
        if any(secret.name == body.name for secret in own.values()):
            raise conflict(f"a secret with the name {body.name!r} exists already")
        secret = Secret(
            id=new_id(self.desk.world.random),
            name=body.name,
            value=body.value,
            description=body.description,
            created_at=self.desk.clock.now(),
        )
        own[secret.id] = secret
        return JSONResponse(view(secret), status_code=201)

    async def read(self, request: Request) -> Response:
        """One secret, without its value."""
        return JSONResponse(view(self._own(request)))

    async def update(self, request: Request) -> Response:
        """Change its value or description; what runs already keeps the value that it began with."""
        body = await read_body(request, SecretPatchBody)
        secret = self._own(request)
        changed = replace(
            secret,
            value=body.value if body.sets("value") else secret.value,
            description=body.description if body.sets("description") else secret.description,
        )
        self.desk.account(request).resources.secrets[secret.id] = changed
        return JSONResponse(view(changed))

    async def delete(self, request: Request) -> Response:
        """Forget it: environments that name it name nothing from now on."""
        secret = self._own(request)
        del self.desk.account(request).resources.secrets[secret.id]
        return Response(status_code=204)

    def _own(self, request: Request) -> Secret:
        secret = self.desk.account(request).resources.secrets.get(request.path_params["id"])
        if secret is None:
            raise not_found("secret")
        return secret


def view(secret: Secret) -> dict[str, Any]:
    """A secret as the API tells it."""
    return {
        "id": secret.id,
        "name": secret.name,
        "description": secret.description or None,
        "createdAt": rfc3339(secret.created_at),
    }
