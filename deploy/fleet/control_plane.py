"""Runpod's REST v2, as far as the fleet needs it, each call as a method.

Every method raises what ``deploy.fleet.calls`` says. Lists come whole: by pages where Runpod has them, and at once
where it has none (its edition of August 2026).
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from deploy.fleet.answers import (
    Answer,
    BillRecord,
    CpuType,
    DeployedEndpoint,
    GpuType,
    Health,
    Registry,
    Releases,
    Secret,
    Volume,
    Workers,
)
from deploy.fleet.calls import Calls, unreadable
from deploy.fleet.errors import ControlPlaneMissing
from deploy.fleet.worker_log import read_lines

RUNPOD_URL = "https://api.runpod.io"
"""Where Runpod's REST API is; version 2 is under ``/v2``."""
PAGES_MAX = 100
LOG_LINES_MAX = 5000
"""As many as Runpod gives of the time before."""

_Form = TypeVar("_Form", bound=Answer)


class ControlPlane:
    """One account's control plane."""

    def __init__(self, calls: Calls, client: httpx.AsyncClient, *, url: str = RUNPOD_URL, page: int = 1000) -> None:
        """``url`` is without a version; ``page`` is how much is asked for at once."""
        self._calls = calls
        self._client = client
        self._base = f"{url.rstrip('/').removesuffix('/v2')}/v2"
        self._page = page

    async def endpoints(self) -> tuple[DeployedEndpoint, ...]:
        """Every endpoint of the account, ours or not."""
        return await self._list(DeployedEndpoint, "/serverless", "endpoints")

    async def endpoint(self, endpoint_id: str) -> DeployedEndpoint:
        """One endpoint."""
        return self._form(DeployedEndpoint, await self._ask("GET", f"/serverless/{endpoint_id}"))

    async def create(self, body: Mapping[str, Any]) -> DeployedEndpoint:
        """Make an endpoint; after ``ControlPlaneLost`` it may be there all the same."""
        return self._form(DeployedEndpoint, await self._ask("POST", "/serverless", body=body, makes=True))

    async def update(self, endpoint_id: str, body: Mapping[str, Any]) -> DeployedEndpoint:
        """Change what is in ``body``; the answer shows the endpoint as it is now."""
        return self._form(DeployedEndpoint, await self._ask("PATCH", f"/serverless/{endpoint_id}", body=body))

    async def delete(self, endpoint_id: str) -> None:
        """End an endpoint; one that is gone already is no error, since the answer may have been lost."""
        try:
            await self._ask("DELETE", f"/serverless/{endpoint_id}")
        except ControlPlaneMissing:
            return

    async def workers(self, endpoint_id: str) -> Workers:
        """An endpoint's workers by state; those that are scaled down are not among them."""
        return self._form(Workers, await self._ask("GET", f"/serverless/{endpoint_id}/workers"))

    async def releases(self, endpoint_id: str) -> Releases:
        """An endpoint's latest versions, newest first, and how far workers have followed."""
        return self._form(Releases, await self._ask("GET", f"/serverless/{endpoint_id}/releases"))

    async def health(self, endpoint: DeployedEndpoint) -> Health:
        """An endpoint's jobs and workers as its data plane counts them; wakes none."""
        return self._form(Health, await self._calls.ask("GET", endpoint.health_url))

    async def log(
        self,
        endpoint_id: str,
        worker_id: str,
        *,
        tail: int = 100,
        source: str = "container",
        quiet_seconds: float = 1.0,
    ) -> tuple[str, ...]:
        """The last lines of a worker's log; of ``source``, which is ``container`` or ``system``.

        The log is a stream without an end: it is left when nothing came for ``quiet_seconds``.
        """
        path = f"/serverless/{endpoint_id}/workers/{worker_id}/logs"
        query = {"tail": str(min(tail, LOG_LINES_MAX)), "source": source}
        return await read_lines(self._client, f"{self._base}{path}", query, lines_max=tail, quiet_seconds=quiet_seconds)

    async def bill(
        self, *, start: str | None = None, end: str | None = None, bucket: str = "day", endpoint_id: str | None = None
    ) -> tuple[BillRecord, ...]:
        """What endpoints cost by buckets of time; moments are RFC 3339, without them the last 30 days.

        Runpod snaps ``start`` down and ``end`` up to edges of buckets: ``hour``, ``day``, ``week``, ``month`` or
        ``year``.
        """
        given = {"startTime": start, "endTime": end, "bucketSize": bucket, "serverlessId": endpoint_id}
        query = {name: value for name, value in given.items() if value is not None}
        return await self._list(BillRecord, "/billing/serverless", "records", query, paged=False)

    async def registries(self) -> tuple[Registry, ...]:
        """The account's logins for registries of images."""
        return await self._list(Registry, "/registries", "registries")

    async def create_registry(self, *, name: str, username: str, password: str) -> Registry:
        """Keep a login."""
        body = {"name": name, "username": username, "password": password}
        return self._form(Registry, await self._ask("POST", "/registries", body=body, makes=True))

    async def volumes(self) -> tuple[Volume, ...]:
        """The account's network volumes."""
        return await self._list(Volume, "/network-volumes", "networkVolumes")

    async def create_volume(self, *, name: str, size: int, data_center: str) -> Volume:
        """Make a volume of so many GB."""
        body = {"name": name, "size": size, "dataCenter": data_center}
        return self._form(Volume, await self._ask("POST", "/network-volumes", body=body, makes=True))

    async def grow_volume(self, volume_id: str, *, size: int) -> Volume:
        """Enlarge a volume to so many GB; none can be made smaller."""
        return self._form(Volume, await self._ask("PATCH", f"/network-volumes/{volume_id}", body={"size": size}))

    async def secrets(self) -> tuple[Secret, ...] | None:
        """The account's secrets by name; ``None`` where the account's edition of the API does not tell them."""
        try:
            return await self._list(Secret, "/secrets", "secrets")
        except ControlPlaneMissing:
            return None

    async def create_secret(self, *, name: str, value: str) -> Secret:
        """Keep a secret."""
        return self._form(Secret, await self._ask("POST", "/secrets", body={"name": name, "value": value}, makes=True))

    async def gpus(self) -> tuple[GpuType, ...]:
        """The catalogue of GPUs with today's prices."""
        return await self._list(GpuType, "/catalog/gpus", "gpus", paged=False)

    async def cpus(self) -> tuple[CpuType, ...]:
        """The catalogue of CPUs with today's prices."""
        return await self._list(CpuType, "/catalog/cpus", "cpus", paged=False)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        makes: bool = False,
    ) -> Any:  # noqa: ANN401 - JSON is whatever was sent
        return await self._calls.ask(method, f"{self._base}{path}", body=body, query=query, makes=makes)

    async def _list(
        self, form: type[_Form], path: str, field: str, query: Mapping[str, str] | None = None, *, paged: bool = True
    ) -> tuple[_Form, ...]:
        """All items, each once: a list that changes between two pages may tell one of them twice."""
        found: dict[str, _Form] = {}
        cursor = None
        for _ in range(PAGES_MAX):
            asked = {**(query or {}), **({"limit": str(self._page)} if paged else {})}
            told = await self._ask("GET", path, query={**asked, **({"cursor": cursor} if cursor else {})} or None)
            items = told.get(field) if isinstance(told, dict) else None
            if not isinstance(items, list):
                raise unreadable(f"GET {path}", str(told)[:200])
            for item in items:
                made = self._form(form, item)
                found.setdefault(str(item.get("id") or len(found)), made)
            pages = told.get("pagination") or {}
            cursor = pages.get("nextCursor") if pages.get("hasNextPage") else None
            if cursor is None:
                return tuple(found.values())
        raise unreadable(f"GET {path}", f"more than {PAGES_MAX} pages")

    @staticmethod
    def _form(form: type[_Form], told: object) -> _Form:
        try:
            return TypeAdapter(form).validate_python(told)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise unreadable(form.__name__, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
