"""Bills by buckets of time: all of an account's, its endpoints', its volumes'; and what it has none of.

A record is there for each bucket and resource that cost something. ``feeAmount`` is always 0. What
``/v2/billing/endpoints`` bills are Runpod's public model endpoints, never the account's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.archive import Storing
from deploy.emulator.control_plane.billing_windows import BillingWindow, billing_window
from deploy.emulator.control_plane.desk import Desk
from deploy.emulator.control_plane.moments import rfc3339
from deploy.emulator.control_plane.routing import Handler, resource
from deploy.emulator.model.account import Account
from deploy.emulator.model.catalogue import NANODOLLARS_PER_DOLLAR

MONTH_SECONDS = 30 * 86400
FIRST_TERABYTE_GB = 1000
USD_PER_GB_MONTH = 0.07
USD_PER_GB_MONTH_BEYOND = 0.05
HIGH_PERFORMANCE_FACTOR = 2.0
"""No source states the dearer tier's price."""
Amounts = dict[str, float]
Part = tuple[float, float, str, Amounts]
_SERVERLESS = ("totalAmount", "gpuAmount", "cpuAmount", "diskAmount", "feeAmount")
_VOLUMES = ("totalAmount", "standardAmount", "highPerformanceAmount")
_ALL = (
    "totalAmount",
    "podGpuAmount",
    "podCpuAmount",
    "podDiskAmount",
    "serverlessGpuAmount",
    "serverlessCpuAmount",
    "serverlessDiskAmount",
    "serverlessFeeAmount",
    "storageStandardAmount",
    "storageHighPerformanceAmount",
    "endpointAmount",
    "clusterGpuAmount",
    "clusterDiskAmount",
    "clusterNetworkingAmount",
)
_IN_ALL = {
    "gpuAmount": "serverlessGpuAmount",
    "cpuAmount": "serverlessCpuAmount",
    "diskAmount": "serverlessDiskAmount",
    "feeAmount": "serverlessFeeAmount",
    "standardAmount": "storageStandardAmount",
    "highPerformanceAmount": "storageHighPerformanceAmount",
    "totalAmount": "totalAmount",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """A kind of resource that the emulator has none of: its bills have no records."""

    path: str
    amounts: tuple[str, ...]
    counted: str = ""
    filtered: str = ""


NOTHING = (
    Empty(
        path="/v2/billing/pods",
        amounts=("totalAmount", "gpuAmount", "cpuAmount", "diskAmount"),
        counted="uniquePodCount",
        filtered="podId",
    ),
    Empty(path="/v2/billing/endpoints", amounts=("totalAmount",)),
    Empty(
        path="/v2/billing/clusters",
        amounts=("totalAmount", "gpuAmount", "diskAmount", "networkingAmount"),
        counted="uniqueClusterCount",
        filtered="clusterId",
    ),
)


@dataclass(frozen=True, slots=True)
class Billing:
    """The routes under ``/v2/billing``."""

    desk: Desk

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            resource("/v2/billing", get=self.all_resources),
            resource("/v2/billing/serverless", get=self.serverless),
            resource("/v2/billing/network-volumes", get=self.volumes),
            *(resource(kind.path, get=self._nothing(kind)) for kind in NOTHING),
        ]

    async def serverless(self, request: Request) -> Response:
        """The account's endpoints, deleted ones too."""
        now = self.desk.clock.now()
        window = billing_window(request.query_params, now)
        wanted = request.query_params.get("serverlessId")
        parts = [
            part
            for part in self._serverless_parts(self.desk.account(request), window, now)
            if wanted in (None, part[2])
        ]
        return _answer(
            window,
            [{**_range(start, end), **amounts, "serverlessId": id_} for start, end, id_, amounts in parts],
            _SERVERLESS,
            counted={"uniqueServerlessCount": len({part[2] for part in parts})},
            filtered={"serverlessId": wanted},
        )

    async def volumes(self, request: Request) -> Response:
        """The account's network volumes, deleted ones too."""
        now = self.desk.clock.now()
        window = billing_window(request.query_params, now)
        wanted = request.query_params.get("networkVolumeId")
        parts = [
            part for part in self._volume_parts(self.desk.account(request), window, now) if wanted in (None, part[2])
        ]
        return _answer(
            window,
            [{**_range(start, end), **amounts, "networkVolumeId": id_} for start, end, id_, amounts in parts],
            _VOLUMES,
            counted={"uniqueNetworkVolumeCount": len({part[2] for part in parts})},
            filtered={"networkVolumeId": wanted},
        )

    async def all_resources(self, request: Request) -> Response:
        """Everything in one record for each bucket."""
        now = self.desk.clock.now()
        account = self.desk.account(request)
        window = billing_window(request.query_params, now)
        buckets: dict[tuple[float, float], Amounts] = {}
        parts = (*self._serverless_parts(account, window, now), *self._volume_parts(account, window, now))
        for start, end, _, amounts in parts:
            sums = buckets.setdefault((start, end), dict.fromkeys(_ALL, 0.0))
            for name, amount in amounts.items():
                sums[_IN_ALL[name]] += amount
        records = [{**_range(start, end), **amounts} for (start, end), amounts in sorted(buckets.items())]
        return _answer(window, records, _ALL)

    def _nothing(self, kind: Empty) -> Handler:
        async def answer(request: Request) -> Response:
            window = billing_window(request.query_params, self.desk.clock.now())
            filtered = {kind.filtered: request.query_params.get(kind.filtered)} if kind.filtered else {}
            return _answer(
                window, [], kind.amounts, counted={kind.counted: 0} if kind.counted else {}, filtered=filtered
            )

        return answer

    def _serverless_parts(self, account: Account, window: BillingWindow, now: float) -> list[Part]:
        """Start, end, endpoint and amounts of each bucket in which an endpoint cost something."""
        ledger = self.desk.world.ledger
        mine = [endpoint.id for endpoint in self.desk.world.owned(account.id)]
        mine += [id_ for id_, owner in self.desk.archive.deleted.items() if owner == account.id]
        billed = {run.endpoint_id for run in ledger.runs}
        parts: list[Part] = []
        for id_ in (endpoint_id for endpoint_id in mine if endpoint_id in billed):
            for start, end in window.buckets():
                bill = ledger.bill(now, endpoint_id=id_, start=start, end=end)
                if bill.seconds:
                    amounts = {
                        "totalAmount": bill.dollars,
                        "gpuAmount": bill.gpu_nanodollars / NANODOLLARS_PER_DOLLAR,
                        "cpuAmount": bill.cpu_nanodollars / NANODOLLARS_PER_DOLLAR,
                        "diskAmount": bill.disk_nanodollars / NANODOLLARS_PER_DOLLAR,
                        "feeAmount": 0.0,
                    }
                    parts.append((start, end, id_, amounts))
        return parts

    def _volume_parts(self, account: Account, window: BillingWindow, now: float) -> list[Part]:
        """Start, end, volume and amounts of each bucket in which a volume was there."""
        storings = self.desk.archive.storings(account)
        parts: list[Part] = []
        for id_ in dict.fromkeys(storing.volume_id for storing in storings):
            own = [storing for storing in storings if storing.volume_id == id_]
            for start, end in window.buckets():
                usd = sum(_storage_usd(storing, start, end, now) for storing in own)
                if usd:
                    standard = own[0].type == "STANDARD"
                    amounts = {
                        "totalAmount": usd,
                        "standardAmount": usd if standard else 0.0,
                        "highPerformanceAmount": 0.0 if standard else usd,
                    }
                    parts.append((start, end, id_, amounts))
        return parts


def _storage_usd(storing: Storing, start: float, end: float, now: float) -> float:
    """What a volume of one size cost between two moments."""
    until = now if storing.ended_at is None else storing.ended_at
    seconds = max(0.0, min(end, until) - max(start, storing.started_at))
    first = min(storing.size_gb, FIRST_TERABYTE_GB)
    monthly = first * USD_PER_GB_MONTH + (storing.size_gb - first) * USD_PER_GB_MONTH_BEYOND
    factor = 1.0 if storing.type == "STANDARD" else HIGH_PERFORMANCE_FACTOR
    return monthly * factor * seconds / MONTH_SECONDS


def _range(start: float, end: float) -> dict[str, str]:
    return {"startTime": rfc3339(start), "endTime": rfc3339(end)}


def _answer(
    window: BillingWindow,
    records: list[dict[str, Any]],
    amounts: tuple[str, ...],
    *,
    counted: Mapping[str, int] | None = None,
    filtered: Mapping[str, str | None] | None = None,
) -> Response:
    records = sorted(records, key=lambda record: record["startTime"])
    query = {**_range(window.start, window.end), "bucketSize": window.bucket_size, **(filtered or {})}
    totals = {name: sum(record[name] for record in records) for name in amounts}
    metadata = {"query": query, "recordCount": len(records), **(counted or {}), "totals": totals}
    return JSONResponse({"records": records, "metadata": metadata})
