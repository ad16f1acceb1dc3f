"""Virtual keys made, rotated and revoked, in a real store; ``test_virtual_keys`` of acceptance has the whole."""

import asyncio
import itertools

import pytest

from gateway.errors import InvalidRequest, KeyNotFound
from gateway.keys.cabinet import Cabinet
from gateway.keys.office import Asker, Office
from gateway.store.multiplexed import Multiplexed
from tests.doubles.clock import ManualClock

pytestmark = pytest.mark.integration
ADMIN = Asker(by="admin", source="192.0.2.1")


@pytest.fixture
def office(commands: Multiplexed) -> Office:
    numbers = itertools.count()
    return Office(
        cabinet=Cabinet(commands, pepper=b"pepper"),
        clock=ManualClock(),
        new_secret=lambda: f"secret-{next(numbers)}",
        new_id=lambda: f"key_{next(numbers)}",
        kept=lambda secret: f"kept {secret}",
        tiers=lambda: ["routing"],
        taken=lambda: ["demo"],
        changed=lambda: asyncio.sleep(0),
        report=lambda *_, **__: None,
    )


async def test_many_at_once_are_all_made_and_noted(office: Office) -> None:
    made = await asyncio.gather(*[office.create({"name": f"k{number}"}, ADMIN) for number in range(6)])
    assert {key.name for key in await office.list(ADMIN)} == {key.name for key, _ in made}
    told = await office.audit(10)
    assert ([entry["number"] for entry in told["data"]], told["missing_before"]) == ([1, 2, 3, 4, 5, 6], [])


@pytest.mark.parametrize("asked", [{"name": "demo"}, {"name": "again"}, {"name": "x", "tiers": ["none"]}])
async def test_a_name_is_one_keys_for_ever_and_its_tiers_are_there(office: Office, asked: dict[str, object]) -> None:
    key, _ = await office.create({"name": "again"}, ADMIN)
    await office.revoke(key.id, ADMIN)
    with pytest.raises(InvalidRequest):
        await office.create(asked, ADMIN)


async def test_a_maker_sees_only_what_it_made_and_takes_it_along(office: Office) -> None:
    maker, secret = await office.create({"name": "maker", "may_make_keys": True}, ADMIN)
    other, _ = await office.create({"name": "other"}, ADMIN)
    asker = await office.asker(f"kept {secret}", "")
    assert asker is not None
    child, _ = await office.create({"name": "child"}, asker)
    assert [key.name for key in await office.list(asker)] == ["child"]
    for name in (other.id, maker.id, "nobody"):
        with pytest.raises(KeyNotFound):
            await office.revoke(name, asker)
    await office.revoke(maker.id, ADMIN)
    assert (await office.show(child.id, ADMIN)).revoked_unix is not None
    assert (await office.show(other.id, ADMIN)).revoked_unix is None
    assert await office.asker(f"kept {secret}", "") is None
    with pytest.raises(InvalidRequest):
        await office.rotate(child.id, ADMIN, grace_seconds=1)
