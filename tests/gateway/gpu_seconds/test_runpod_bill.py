"""Reading the bill. That the emulator answers so is shown in ``tests/gateway/test_bill_command.py``."""

import json

import pytest

from gateway.errors import UpstreamUnreachable
from gateway.gpu_seconds.runpod_bill import Billed, BillUnreadable, by_day, read_bill
from tests.doubles.transport import FakeResponse, FakeTransport

SINCE, UNTIL = 1_780_272_000.0, 1_780_358_400.0
RECORD = {
    "startTime": "2026-06-01T00:00:00Z",
    "endTime": "2026-06-02T00:00:00Z",
    "serverlessId": "4m7x2k9q",
    "totalAmount": 8.9,
    "gpuAmount": 7.5,
    "cpuAmount": 0,
    "diskAmount": 0.4,
    "feeAmount": 1.0,
}


async def test_a_day_costs_what_its_workers_cost() -> None:
    """Disks are billed beside them, and fees are inside. The example is of Runpod's own description."""
    transport = FakeTransport(FakeResponse(json.dumps({"records": [RECORD], "metadata": {}}).encode()))
    billed = await read_bill(transport, "rpa_secret", SINCE, UNTIL)
    assert billed == [Billed(day="2026-06-01", endpoint_id="4m7x2k9q", microdollars=7_500_000)]
    [request] = transport.requests
    assert request.path == (
        b"/v2/billing/serverless?startTime=2026-06-01T00%3A00%3A00Z&endTime=2026-06-02T00%3A00%3A00Z&bucketSize=day"
    )
    assert (b"authorization", b"Bearer rpa_secret") in request.headers[0].fields


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (FakeResponse(b"{}", status=401), "status 401"),
        (FakeResponse(b'{"records": 3}'), "not what it should be"),
        (UpstreamUnreachable("Nobody there."), "Nobody there"),
    ],
)
async def test_a_bill_that_cannot_be_read_is_said_to_be(response: FakeResponse | Exception, message: str) -> None:
    """Without the key."""
    with pytest.raises(BillUnreadable, match=message) as caught:
        await read_bill(FakeTransport(response), "rpa_secret", SINCE, UNTIL)
    assert "rpa_secret" not in str(caught.value)


def test_records_of_one_day_and_endpoint_are_summed() -> None:
    one = Billed(day="d", endpoint_id="e", microdollars=2)
    assert by_day([one, one, Billed(day="d", endpoint_id="f", microdollars=1)]) == {("d", "e"): 4, ("d", "f"): 1}
