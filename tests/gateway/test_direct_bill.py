"""``tiergate-gateway bill FILE`` against the emulator's bill and a real store."""

import argparse
import json
import time

import pytest

from deploy.emulator.app import Options, emulating
from gateway.direct_bill import BillFailed, bill_text
from gateway.gpu_seconds.books import Report, StoredBooks
from gateway.settings import SettingsInvalid
from tests.deploy.emulator.worlds import KEY, balanced
from tests.doubles.clock import ManualClock
from tests.gateway.samples import tier_map
from tests.stores import commands_of, redis_server
from tests.tiers.samples import tier
from tiers.price import GpuPrice
from tiers.tiermap import Endpoint


def options(**changes: str | None) -> argparse.Namespace:
    return argparse.Namespace(
        **{
            "since": "2d",
            "until": None,
            "tier": None,
            "format": "jsonl",
            "store": "redis://127.0.0.1:1/0",
            "runpod_key": "env:TIERGATE_TEST_RUNPOD_KEY",
            "runpod_url": "http://127.0.0.1:1",
            **changes,
        }
    )


async def test_every_second_of_the_emulators_bill_is_booked_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve seconds were seen; what else the worker cost is unexplained."""
    monkeypatch.setenv("TIERGATE_TEST_RUNPOD_KEY", KEY)
    with redis_server() as socket:
        async with emulating(Options(key=KEY, start=time.time(), speed=500.0, seed=3)) as emulator:
            now = emulator.clock.now()
            made = emulator.world.create_endpoint(emulator.account.id, balanced(workers_min=1, workers_max=1), now)
            await emulator.clock.sleep(200)
            base = f"{emulator.origin}/v2/{made.id}"
            async with commands_of(socket) as commands:
                entries = {("attributed", "reasoning", base): 8_000, ("awake", "", base): 12_000}
                await StoredBooks(commands).exchange({base: Report()}, 1, entries, holds_seconds=1)
            endpoint = Endpoint(name="reasoning/0", url=f"{emulator.origin}/lb/{made.id}")
            served = tier_map(tier("reasoning", price=GpuPrice(microdollars_per_second=310), endpoints=(endpoint,)))
            asked = options(store=f"unix://{socket}", runpod_url=emulator.origin)
            text = await bill_text(asked, served, clock=ManualClock(unix=emulator.clock.now()))
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["tier"] for line in lines} == {"reasoning"}
    sums = {
        name: sum(line[f"{name}_seconds"] for line in lines)
        for name in ("attributed", "starting", "idle", "billed", "unexplained")
    }
    assert (sums["attributed"], sums["starting"], sums["idle"]) == (8, 0, 4)
    assert sums["billed"] > 30
    assert sums["billed"] == pytest.approx(12 + sums["unexplained"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"since": "90d"}, "books are kept for"),
        ({"since": "soon"}, "neither an age"),
        ({"store": "embedded"}, "the embedded store"),
        ({"runpod_url": "ftp://x"}, "--runpod-url"),
        ({}, "bill cannot be read"),
    ],
)
async def test_what_cannot_be_done_is_said(
    changes: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERGATE_TEST_RUNPOD_KEY", KEY)
    with pytest.raises(BillFailed, match=message):
        await bill_text(options(**changes), tier_map(tier("reasoning")))


async def test_without_a_key_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIERGATE_TEST_RUNPOD_KEY", raising=False)
    with pytest.raises(SettingsInvalid, match="TIERGATE_TEST_RUNPOD_KEY"):
        await bill_text(options(), tier_map(tier("reasoning")))
