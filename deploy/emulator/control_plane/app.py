"""The control plane as one ASGI application: its routes, its refusals, what stands before them."""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.emulator.control_plane.account_secrets import AccountSecrets
from deploy.emulator.control_plane.billing import Billing
from deploy.emulator.control_plane.catalogue import Machines
from deploy.emulator.control_plane.data_centers import DataCenters
from deploy.emulator.control_plane.desk import Addresses, Clock, Desk
from deploy.emulator.control_plane.endpoints import Endpoints
from deploy.emulator.control_plane.guard import Guard
from deploy.emulator.control_plane.paging import Edition
from deploy.emulator.control_plane.problems import Problem, answer_problem
from deploy.emulator.control_plane.quota import WINDOWS, Window
from deploy.emulator.control_plane.registries import Registries
from deploy.emulator.control_plane.rehearsal import Rehearsal
from deploy.emulator.control_plane.releases import Releases
from deploy.emulator.control_plane.templates import Templates
from deploy.emulator.control_plane.volumes import Volumes
from deploy.emulator.control_plane.worker_logs import WorkerLogs
from deploy.emulator.control_plane.workers import Workers
from deploy.emulator.model.world import World

FIRST_SEGMENTS = frozenset(
    {"serverless", "templates", "network-volumes", "registries", "secrets", "catalog", "billing", "account", "pods"}
)
"""What follows ``/v2/`` in the control plane's paths: no endpoint's id, so both planes can share one host."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def control_plane(
    world: World,
    clock: Clock,
    *,
    addresses: Addresses | None = None,
    edition: Edition = "2026-11",
    rehearsal: Rehearsal | None = None,
    windows: tuple[Window, ...] = WINDOWS,
) -> Starlette:
    """REST v2 on ``world``, at paths that begin with ``/v2``; REST v1 is gone.

    Args:
        world: Whose state it shows and changes.
        clock: What time it is there.
        addresses: Where endpoints' callers find them, as ``requestUrls`` tells.
        edition: Which REST v2: as in August 2026, or later with pages and secrets.
        rehearsal: What goes wrong on demand; it may be changed at any time. Its routes are for the caller to serve.
        windows: The rate limit of one account.
    """
    desk = Desk(
        world=world,
        clock=clock,
        addresses=addresses or Addresses(),
        edition=edition,
        rehearsal=rehearsal or Rehearsal(),
    )
    kinds = (
        Workers,
        WorkerLogs,
        Releases,
        Endpoints,
        Templates,
        Volumes,
        Registries,
        AccountSecrets,
        Machines,
        DataCenters,
        Billing,
    )
    app = Starlette(
        routes=[
            *(route for kind in kinds for route in kind(desk).routes()),
            Route("/v1/{path:path}", _gone, methods=_METHODS),
        ],
        exception_handlers={Problem: answer_problem, HTTPException: _answer_http},
    )
    app.add_middleware(Guard, world=world, clock=clock, rehearsal=desk.rehearsal, windows=windows)
    return app


async def _gone(_: Request) -> Response:
    return Problem(HTTPStatus.GONE, "REST API v1 has been retired; use v2").response()


async def _answer_http(_: Request, error: Exception) -> Response:
    """Starlette's own refusals, as problems: no such path (404), no such method (405)."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
    details = {
        HTTPStatus.NOT_FOUND: "resource not found",
        HTTPStatus.METHOD_NOT_ALLOWED: "The requested method is not allowed for this path.",
    }
    status = HTTPStatus(error.status_code)
    return Problem(status, details.get(status, error.detail), headers=error.headers).response()
