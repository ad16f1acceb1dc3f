"""A setting is an address or a directory."""

from pathlib import Path

import pytest

from orchestrator.errors import SettingsInvalid, StoreUnavailable
from orchestrator.runs.directory_store import DirectoryRunStore
from orchestrator.runs.open_store import open_store
from orchestrator.runs.redis_store import RedisRunStore


@pytest.mark.parametrize("place", ["redis://127.0.0.1:1/0", "rediss://:x@127.0.0.1:1", "unix:///nowhere.sock"])
async def test_an_address_is_connected_to_when_it_is_used(place: str) -> None:
    store = open_store(place)
    assert isinstance(store, RedisRunStore)
    with pytest.raises(StoreUnavailable):
        await store.lapsed()
    await store.close()


@pytest.mark.parametrize("place", ["redis+cluster://:canary-word@h", "http://canary-word@h", "redis://h:canary-word/0"])
def test_another_address_is_no_directory_and_is_not_repeated(place: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        open_store(place)
    assert "canary-word" not in str(refused.value)


async def test_anything_else_is_a_directory(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "runs"))
    assert isinstance(store, DirectoryRunStore)
    assert await store.runs() == []
    await store.close()
