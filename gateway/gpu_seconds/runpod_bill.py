"""What Runpod billed: ``GET /v2/billing/serverless``.

It has amounts of money by endpoint and UTC day, and no seconds. Its time snaps to whole days, down and up. A platform's
fee is in it as 0: what it charges is inside the amounts for GPUs and CPUs; disks are billed beside, and left out here.
The path of the same meaning in v1, ``/billing/endpoints``, bills something else in v2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

import msgspec

from gateway.errors import UpstreamFailed
from gateway.upstream.transport import Transport, UpstreamRequest
from gateway.wire.header_lines import HeaderLines
from tiers.price import MICRODOLLARS_PER_DOLLAR
from tiers.tiermap import Timeouts

TIMEOUTS: Final = Timeouts(connect=5.0, headers=30.0, idle=30.0, total=60.0)
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
_OK: Final = 200


class BillUnreadable(Exception):
    """The bill cannot be read; says why, and never the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """What one endpoint's workers cost on one UTC day."""

    day: str
    endpoint_id: str
    microdollars: int


class _Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    start_time: str
    serverless_id: str
    gpu_amount: float = 0.0
    cpu_amount: float = 0.0


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    records: list[_Record]


async def read_bill(transport: Transport, api_key: str, since_unix: float, until_unix: float) -> list[Billed]:
    """Every endpoint's days, from that of ``since_unix`` to that of ``until_unix``.

    Raises:
        BillUnreadable: Runpod did not answer, refused, or said something else.
    """
    query = urlencode({"startTime": _moment(since_unix), "endTime": _moment(until_unix), "bucketSize": "day"})
    request = UpstreamRequest(
        method=b"GET",
        path=f"/v2/billing/serverless?{query}".encode(),
        headers=[HeaderLines([(b"authorization", b"Bearer " + api_key.encode()), (b"accept", b"application/json")])],
        body=b"",
    )
    try:
        response = await transport.send(request)
        try:
            body = await response.read(ANSWER_BYTES_MAX)
        finally:
            await response.aclose()
    except UpstreamFailed as error:
        raise BillUnreadable(f"Runpod's bill cannot be read: {error.message}") from error
    if response.status != _OK:
        raise BillUnreadable(f"Runpod's bill cannot be read: it answered with status {response.status}")
    try:
        records = msgspec.json.decode(body, type=_Answer).records
    except msgspec.DecodeError as error:
        raise BillUnreadable(f"Runpod's bill is not what it should be: {error}") from error
    return [
        Billed(
            day=record.start_time[:10],
            endpoint_id=record.serverless_id,
            microdollars=round((record.gpu_amount + record.cpu_amount) * MICRODOLLARS_PER_DOLLAR),
        )
        for record in records
    ]


def by_day(bill: list[Billed]) -> Mapping[tuple[str, str], int]:
    """(day, endpoint's id) → microdollars."""
    sums: dict[tuple[str, str], int] = {}
    for billed in bill:
        key = (billed.day, billed.endpoint_id)
        sums[key] = sums.get(key, 0) + billed.microdollars
    return sums


def _moment(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
