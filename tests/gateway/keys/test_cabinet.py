"""Keys and the audit log in a real store: one change after the other."""

import pytest

from gateway.errors import StoreUnavailable
from gateway.keys.audit import Entry
from gateway.keys.cabinet import Cabinet
from gateway.store.multiplexed import Multiplexed
from tests.gateway.keys.test_virtual import key

pytestmark = pytest.mark.integration


def entry(number: int, previous: str) -> Entry:
    return Entry(number=number, unix=1.0, by="admin", source="", what="key.created", previous=previous)


async def test_of_two_changes_of_the_same_state_one_counts(commands: Multiplexed) -> None:
    """And the same change twice is one."""
    cabinet = Cabinet(commands, pepper=b"pepper")
    assert await cabinet.commit(entry(1, ""), [key("a")])
    assert await cabinet.commit(entry(1, ""), [key("a")])
    assert not await cabinet.commit(entry(2, ""), [key("b")])
    kept = await cabinet.read()
    assert kept is not None
    assert (list(kept.keys), kept.number, kept.ours) == (["id-a"], 1, True)
    assert await cabinet.read(kept.head) is None
    assert await cabinet.commit(entry(2, kept.head), [key("b")])
    entries, missing = await cabinet.entries(10)
    assert ([each.number for each in entries], missing) == ([1, 2], [])


async def test_an_entry_that_is_deleted_shows(commands: Multiplexed) -> None:
    cabinet = Cabinet(commands, pepper=b"pepper")
    for number in (1, 2, 3):
        kept = await cabinet.read()
        assert kept is not None
        assert await cabinet.commit(entry(number, kept.head), [])
    [_, (second, _), _] = await commands.execute("XRANGE", "{tiergate}:keys:audit", "-", "+")
    await commands.execute("XDEL", "{tiergate}:keys:audit", second)
    assert (await cabinet.entries(10))[1] == [3]


async def test_another_pepper_changes_nothing(commands: Multiplexed) -> None:
    assert await Cabinet(commands, pepper=b"pepper").commit(entry(1, ""), [])
    other = Cabinet(commands, pepper=b"other")
    kept = await other.read()
    assert kept is not None
    assert not kept.ours
    with pytest.raises(StoreUnavailable, match="another pepper"):
        await other.commit(entry(2, kept.head), [])
