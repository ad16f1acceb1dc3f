"""Logins to container registries, whose credentials are never shown again, and delegations to Amazon's."""

import re
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.bodies import DelegationBody, RegistryBody
from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.moments import rfc3339
from deploy.emulator.control_plane.problems import bad_request, not_found
from deploy.emulator.control_plane.reading import read_body
from deploy.emulator.control_plane.routing import resource
from deploy.emulator.model.account import Account
from deploy.emulator.model.names import new_id
from deploy.emulator.model.resources import Delegation, Registry

_ARN = re.compile(r"arn:aws:ecr:([a-z0-9-]+):(\d+):repository/([^\s:]+)(?::([^\s:]+))?")


@dataclass(frozen=True, slots=True)
class Registries:
    """The routes under ``/v2/registries``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """All of them; a delegation's path comes before an id's."""
        return [
            resource("/v2/registries", get=self.list_all, post=self.create),
            resource("/v2/registries/delegations", get=self.list_delegations, post=self.delegate),
            resource("/v2/registries/delegations/{id}", delete=self.revoke),
            resource("/v2/registries/{id}", get=self.read, delete=self.delete),
        ]

    async def list_all(self, request: Request) -> Response:
        """The account's logins, without their credentials."""
        own = self.desk.account(request).resources.registries.values()
        return JSONResponse({"registries": [view(registry) for registry in own]})

    async def create(self, request: Request) -> Response:
        """Keep a login."""
        body = await read_body(request, RegistryBody)
        account = self.desk.account(request)
        if any(registry.name == body.name for registry in account.resources.registries.values()):
            raise bad_request("registry name must be unique")
        registry = Registry(
            id=new_id(self.desk.world.random), name=body.name, username=body.username, password=body.password
        )
        account.resources.registries[registry.id] = registry
        return JSONResponse(view(registry), status_code=201)

    async def read(self, request: Request) -> Response:
        """One login, without its credentials."""
        return JSONResponse(view(self._own(request)))

    async def delete(self, request: Request) -> Response:
        """Forget a login: templates that named it silently name none from now on."""
        registry = self._own(request)
        resources = self.desk.account(request).resources
        for template in list(resources.templates.values()):
            if template.registry == registry.id:
                resources.templates[template.id] = replace(template, registry=None)
        del resources.registries[registry.id]
        return Response(status_code=204)

    async def list_delegations(self, request: Request) -> Response:
        """The account's delegations."""
        account = self.desk.account(request)
        own = account.resources.delegations.values()
        return JSONResponse({"delegations": [delegation_view(delegation, account) for delegation in own]})

    async def delegate(self, request: Request) -> Response:
        """Keep a delegation."""
        body = await read_body(request, DelegationBody)
        match = _ARN.fullmatch(body.resource)
        if match is None:
            raise bad_request("resource is not the ARN of an ECR repository")
        account = self.desk.account(request)
        fields = {
            "awsRegion": match[1],
            "awsUser": match[2],
            "repository": match[3],
            "tag": match[4] or "latest",
            "dockerRegistryUri": f"{match[2]}.dkr.ecr.{match[1]}.amazonaws.com",
            "createdAt": rfc3339(self.desk.clock.now()),
        } | ({"name": body.name} if body.name is not None else {})
        delegation = Delegation(id=new_id(self.desk.world.random), fields=fields)
        account.resources.delegations[delegation.id] = delegation
        return JSONResponse(delegation_view(delegation, account), status_code=201)

    async def revoke(self, request: Request) -> Response:
        """Forget a delegation."""
        own = self.desk.account(request).resources.delegations
        if own.pop(request.path_params["id"], None) is None:
            raise not_found("delegation")
        return Response(status_code=204)

    def _own(self, request: Request) -> Registry:
        registry = self.desk.account(request).resources.registries.get(request.path_params["id"])
        if registry is None:
            raise not_found("registry")
        return registry


def view(registry: Registry) -> dict[str, Any]:
    """A login as the API tells it."""
    return {"id": registry.id, "name": registry.name}


def delegation_view(delegation: Delegation, account: Account) -> dict[str, Any]:
    """A delegation as the API tells it."""
    return {"id": delegation.id, "delegatorUserId": account.id, "name": None, **delegation.fields}
