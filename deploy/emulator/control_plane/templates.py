"""Templates: list, create, read, change, delete; and the public ones. Nothing keeps a link to a template."""

from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.bodies import TemplateBody, TemplatePatchBody
from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.paging import EXHAUSTED, page
from deploy.emulator.control_plane.parameters import word
from deploy.emulator.control_plane.problems import bad_request, not_found
from deploy.emulator.control_plane.public_templates import PUBLIC, readable
from deploy.emulator.control_plane.reading import read_body
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.model.account import Account
from deploy.emulator.model.names import new_id
from deploy.emulator.model.resources import Template

_SOURCES = ("official", "verified", "community")


@dataclass(frozen=True, slots=True)
class Templates:
    """The routes under ``/v2/templates``, and ``/v2/catalog/templates``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            resource("/v2/templates", get=self.list_all, post=self.create),
            resource("/v2/templates/{id}", get=self.read, patch=self.update, delete=self.delete),
            resource("/v2/catalog/templates", get=self.list_public),
        ]

    async def list_all(self, request: Request) -> Response:
        """The account's templates, those of its endpoints among them."""
        own = list(self.desk.account(request).resources.templates.values())
        found, pages = page(request.query_params, own, lambda template: template.id, self.desk.edition)
        return JSONResponse({"templates": [view(template) for template in found], **pages})

    async def list_public(self, request: Request) -> Response:
        """One slice of the public templates; it has no pages yet."""
        source = word(request.query_params, "source", _SOURCES) or "official"
        found = PUBLIC.values() if source == "official" else ()
        pages = {} if self.desk.edition == "2026-08" else {"pagination": EXHAUSTED}
        return JSONResponse({"templates": [view(template) for template in found], **pages})

    async def create(self, request: Request) -> Response:
        """Make a template."""
        body = await read_body(request, TemplateBody)
        account = self.desk.account(request)
        bare = Template(id=new_id(self.desk.world.random), name="", image="")
        template = changed(bare, body)
        _check(template, account)
        account.resources.templates[template.id] = template
        return JSONResponse(view(template), status_code=201)

    async def read(self, request: Request) -> Response:
        """One template, of the account's or public."""
        template = readable(self.desk.account(request).resources).get(request.path_params["id"])
        if template is None:
            raise not_found("template")
        return JSONResponse(view(template))

    async def update(self, request: Request) -> Response:
        """Change what was sent; endpoints that were made of it stay as they are."""
        body = await read_body(request, TemplatePatchBody)
        account = self.desk.account(request)
        template = changed(self._own(request), body)
        _check(template, account)
        account.resources.templates[template.id] = template
        return JSONResponse(view(template))

    async def delete(self, request: Request) -> Response:
        """End it, unless it goes with an endpoint."""
        template = self._own(request)
        if template.endpoint_id in self.desk.world.endpoints:
            raise bad_request("template is bound to a serverless endpoint")
        del self.desk.account(request).resources.templates[template.id]
        return Response(status_code=204)

    def _own(self, request: Request) -> Template:
        template = self.desk.account(request).resources.templates.get(request.path_params["id"])
        if template is None:
            raise not_found("template")
        return template


def changed(template: Template, body: TemplatePatchBody) -> Template:
    """The template with what a body sets."""
    fields: dict[str, Any] = {
        "name": body.name,
        "image": body.image,
        "args": body.args,
        "disk_gb": body.disk,
        "ports": tuple(body.ports),
        "env": dict(body.env),
        "registry": body.registry,
        "category": body.category,
        "public": body.public,
        "serverless": body.serverless,
        "start_ssh": body.start_ssh,
        "start_jupyter": body.start_jupyter,
        "allowed_cuda_versions": tuple(body.allowed_cuda_versions),
    }
    named = {"disk_gb": "disk"}
    sent = {name: value for name, value in fields.items() if body.sets(named.get(name, name))}
    if body.mounts.sets("persistent"):
        mount = body.mounts.persistent
        sent |= {"persistent_mount_gb": mount.size, "persistent_mount_path": mount.path}
    return replace(template, **sent)


def view(template: Template) -> dict[str, Any]:
    """A template as the API tells it."""
    mount = {"size": template.persistent_mount_gb, "path": template.persistent_mount_path}
    return {
        "id": template.id,
        "name": template.name,
        "image": template.image,
        "args": template.args,
        "disk": template.disk_gb,
        "ports": list(template.ports),
        "env": dict(template.env),
        "registry": template.registry,
        "mounts": {"persistent": mount} if template.persistent_mount_gb is not None else {},
        "serverless": template.serverless,
        "public": template.public,
        "category": template.category,
        "startSsh": template.start_ssh,
        "startJupyter": template.start_jupyter,
        "allowedCudaVersions": list(template.allowed_cuda_versions),
    }


def _check(template: Template, account: Account) -> None:
    others = (other for other in account.resources.templates.values() if other.id != template.id)
    if any(other.name == template.name for other in others):
        raise bad_request("template name must be unique")
    if template.registry is not None and template.registry not in account.resources.registries:
        raise bad_request("registry does not exist")
