"""One process's copy of the virtual keys."""

import asyncio
import hashlib

import msgspec
import pytest

from gateway.errors import StoreUnavailable
from gateway.keys.cabinet import Kept
from gateway.keys.ring import STALE_SECONDS_MAX, KeyRing
from gateway.keys.secret import kept
from tests.gateway.keys.test_virtual import key
from tests.stores import ManualClock

DIGEST = hashlib.sha256(b"tg-key").digest()


class FakeCabinet:
    """Keeps what a test says; counts questions."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.kept = Kept(head="", number=0, ours=True, keys={})

    def keep(self, **more: object) -> None:
        """One key, otherwise than before."""
        one = msgspec.structs.replace(key("a"), **{"digest": kept(b"pepper", DIGEST)} | more)
        self.kept = Kept(head=f"{self.kept.head}+", number=1, ours=True, keys={one.id: one})

    async def read(self, known: str | None = None) -> Kept | None:
        """As ``Cabinet``."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("away")
        return None if known == self.kept.head else self.kept


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cabinet() -> FakeCabinet:
    return FakeCabinet()


@pytest.fixture
def ring(cabinet: FakeCabinet, clock: ManualClock) -> KeyRing:
    return KeyRing(
        cabinet, pepper=b"pepper", clock=clock, report=lambda *_, **__: None, sleep=lambda _: asyncio.sleep(0)
    )


async def test_a_key_is_known_once_the_store_was_asked_and_not_when_revoked(
    ring: KeyRing, cabinet: FakeCabinet
) -> None:
    cabinet.keep()
    assert ring.find(DIGEST) is None
    found = await ring.look_up(DIGEST)
    assert found is not None
    assert ring.find(DIGEST) is found
    cabinet.keep(revoked_unix=1.0)
    await ring.refresh()
    assert ring.find(DIGEST) is None


async def test_a_flood_of_unknown_keys_is_two_questions(ring: KeyRing, cabinet: FakeCabinet) -> None:
    found = await asyncio.gather(*[ring.look_up(bytes([number])) for number in range(200)])
    assert set(found) == {None}
    assert cabinet.asked == 2


async def test_an_old_secret_is_taken_for_its_time(ring: KeyRing, cabinet: FakeCabinet, clock: ManualClock) -> None:
    cabinet.keep(digest="new", previous=kept(b"pepper", DIGEST), previous_until_unix=clock.unix() + 5)
    assert await ring.look_up(DIGEST) is not None
    clock.now += 5
    assert ring.find(DIGEST) is None


async def test_without_the_store_known_keys_work_for_a_time(
    ring: KeyRing, cabinet: FakeCabinet, clock: ManualClock
) -> None:
    cabinet.keep()
    await ring.refresh()
    cabinet.away = True
    clock.now += STALE_SECONDS_MAX
    assert ring.find(DIGEST) is not None
    with pytest.raises(StoreUnavailable):
        await ring.look_up(b"unknown")
    clock.now += 1
    with pytest.raises(StoreUnavailable, match="for too long"):
        ring.find(DIGEST)
